"""The way to SQL Server: Microsoft's ODBC driver, connection string, connections, error numbers.

pyodbc is imported where it is used: it needs unixODBC, which nobody needs who stays on SQLite.
"""

import platform
import re
import threading
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.types import String

from ..config.database_url import Keywords
from .statements import KeepingContext, keep

LOGIN_SECONDS = 5  # how long the server may take to let us in
LOCK_SECONDS = 6  # how long a statement waits for a lock; the server looks for deadlocks every 5
# How long it may work on one; a server that says nothing at all costs thrice as much.
QUERY_SECONDS = 7

NEWEST_DRIVER = "ODBC Driver 18 for SQL Server"
_DRIVER = re.compile(r"ODBC Driver (1[7-9]|[2-9]\d) for SQL Server")
_MICROSOFTS = re.compile(r"(ODBC Driver [\d.]+ for )?SQL Server( Native Client [\d.]+)?")
_QUIET = re.compile(r"[\w.,:\\/@+\-]*")  # values that need no braces

# https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
DEADLOCK_VICTIM = 1205
LOCK_TIMEOUT = 1222
# The connection or the server went away, it is another replica's turn, or Azure SQL asks to come back:
# https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
_TRANSIENT = frozenset(
    {64, 233, 596, 952, 976, 978, 983, 988, 4060, 6005, 10053, 10054, 10060, 10928, 10929, 10936}
    | {18401, 40197, 40501, 40613, 49918, 49919, 49920}
)
# This connection is of no more use, others may be: the token that it came in with is too old, its statement is
# forgotten, its session was ended for what it did.
_THIS_ONE = frozenset({8179, 18456, 37396, 40549, 40550, 40551, 40552, 40553})
# What an operator has to mend: schema, triggers, permission, space, memory, damage, locks, read-only, version store.
_OPERATORS = frozenset(
    {207, 208, 229, 230, 262, 297, 334, 605, 615, 701, 802, 823, 824, 825, 845, 916, 926, 945, 1101}
    | {1105, 1204, DEADLOCK_VICTIM, LOCK_TIMEOUT, 3906, 3958, 3966, 8628, 8645, 8651, 9001, 9002}
    | {40544}
)


def engine_options(keywords: Keywords) -> dict[str, Any]:
    """What SQLAlchemy's engine is made with."""
    return {
        "creator": Connector(keywords),
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,  # a round trip for every read, and nothing to roll back
    }


def prepare(engine: Engine) -> None:
    """Keep statements, give text parameters their column's length, tell broken connections from the rest."""

    @event.listens_for(engine, "connect")
    def keep_statements(_connection: Any, record: Any) -> None:
        keep(record)
        # Not before: the dialect's own first questions come on a connection that keeps nothing.
        engine.dialect.execution_ctx_cls = KeepingContext

    @event.listens_for(engine, "do_setinputsizes")
    def set_lengths(sizes: dict[Any, Any], *_args: Any) -> None:
        # pyodbc would declare each text as long as it happens to be: another plan in the server for every length.
        for bind, kind in sizes.items():
            is_text = isinstance(bind.type, String) and bind.type.length
            if is_text and not isinstance(kind, tuple):
                sizes[bind] = (kind, bind.type.length, 0)

    @event.listens_for(engine, "handle_error")
    def judge(context: Any) -> None:
        numbers = error_numbers(context.original_exception)
        if LOCK_TIMEOUT in numbers:
            context.is_disconnect = False  # its SQLSTATE is that of a server which does not answer
        elif numbers & _TRANSIENT:
            context.is_disconnect = True
        elif numbers & _THIS_ONE and context.connection is not None:
            context.is_disconnect = True
            context.invalidate_pool_on_disconnect = False


def connect(
    keywords: Keywords, query_seconds: int = QUERY_SECONDS, login_seconds: int = LOGIN_SECONDS
) -> Any:
    """Open a connection in autocommit mode on which no statement waits for ever.

    Args:
        keywords: as ``read_database_url`` gives them.
        query_seconds: how long the server may work on one statement; 0: for ever.
        login_seconds: how long it may take to let us in.

    Raises:
        pyodbc.Error: there is no driver, no way to the server, or no way in.
    """
    import pyodbc

    pyodbc.pooling = False  # SQLAlchemy has a pool
    connection = pyodbc.connect(connection_string(keywords), timeout=login_seconds, autocommit=True)
    connection.timeout = query_seconds
    # XACT_ABORT: a statement that fails leaves no half of its transaction. NOCOUNT: its rows are counted.
    options = f"SET LOCK_TIMEOUT {LOCK_SECONDS * 1000}; SET XACT_ABORT ON; SET NOCOUNT OFF"
    connection.execute(options).close()
    return connection


def connection_string(keywords: Keywords) -> str:
    """The ODBC connection string, encrypted if it does not say otherwise."""
    # Reconnecting is the pool's work: it answers at once, the driver's own retry waits ten seconds.
    pairs = {"encrypt": "yes", "connectretrycount": "0"} | keywords
    pairs["driver"] = _driver(keywords.get("driver", ""))
    if not pairs.keys() & {"uid", "authentication"}:
        pairs.setdefault("trusted_connection", "yes")
    return ";".join(f"{name}={_quoted(value)}" for name, value in pairs.items())


def _quoted(value: str) -> str:
    return value if _QUIET.fullmatch(value) else "{" + value.replace("}", "}}") + "}"


def _driver(named: str) -> str:
    # A string that was written elsewhere names the driver that was there.
    is_elsewhere = _MICROSOFTS.fullmatch(named) and named not in _installed()
    return find_driver() if not named or is_elsewhere else named


@cache
def find_driver() -> str:
    """Find Microsoft's ODBC driver: an installed one from version 17 on, or the one that PyPI carries.

    Returns:
        The name, or the path, that goes into the connection string. With no driver at all it is the name
        of the newest, so that connecting says what is missing.
    """
    known = sorted(name for name in _installed() if _DRIVER.fullmatch(name))
    return known[-1] if known else _carried_driver() or NEWEST_DRIVER


def _installed() -> list[str]:
    import pyodbc

    return list(pyodbc.drivers())


def _carried_driver() -> str | None:
    """Where the package mssql-python-odbc has it: a build for each family of Linux, or for macOS."""
    try:
        from mssql_python_odbc import get_libs_dir
    except ImportError:
        return None
    machine = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    found = Path(get_libs_dir()).glob(f"**/{machine}/lib/libmsodbcsql*")
    return min(map(str, found), key=lambda path: _linux() not in path, default=None)


def _linux() -> str:
    try:
        about = platform.freedesktop_os_release()
    except OSError:
        about = {}
    named = re.search("rhel|fedora|centos|suse", f"{about.get('ID')} {about.get('ID_LIKE')}")
    if not named:
        return "debian_ubuntu"
    return "suse" if named[0] == "suse" else "rhel"


class Connector:
    """Opens connections for a pool. While the server is away, one thread at a time tries and the rest are told.

    Microsoft's driver goes on trying for LOGIN_SECONDS even when it is refused; without this, every thread of
    every worker would hang so long on each request of an outage.
    """

    def __init__(self, keywords: Keywords) -> None:
        self._keywords = keywords
        self._failure: Exception | None = None
        self._successes = 0
        self._trying = threading.Lock()

    def __call__(self) -> Any:
        """Open a connection.

        Raises:
            pyodbc.Error: there is no way in, now or when it was tried last.
        """
        failure = self._failure
        if failure is None:
            return self._connect()
        if not self._trying.acquire(blocking=False):
            raise type(failure)(*failure.args)
        try:
            return self._connect()
        finally:
            self._trying.release()

    def _connect(self) -> Any:
        successes = self._successes
        try:
            connection = connect(self._keywords)
        except Exception as error:
            if self._successes == successes:  # nobody got in meanwhile
                self._failure = error
            raise
        self._successes += 1
        self._failure = None
        return connection


def error_numbers(error: BaseException | None) -> set[int]:
    """The server's own numbers for what went wrong, which the driver puts at the end of its messages."""
    return {int(number) for number in re.findall(r"\((\d+)\)(?= \(SQL|;|$)", _said(error))}


def message(error: BaseException | None) -> str:
    """What went wrong in the server's words, without the names of the drivers that passed it on."""
    text = re.sub(r"(^|; )(\[[^\]]*\] ?)+", r"\1", _said(error))
    return " ".join(re.sub(r"( \(\d+\))? \(SQL\w+\)", "", text).split())


def _said(error: BaseException | None) -> str:
    return str(error.args[1] if error is not None and len(error.args) > 1 else error)


def has_timed_out(error: BaseException | None) -> bool:
    """Whether the server has said nothing for longer than we wait."""
    return error is not None and error.args[:1] in (("HYT00",), ("HYT01",))


def is_deadlock_victim(error: BaseException | None) -> bool:
    """Whether the server has rolled the transaction back so that another one can go on."""
    return DEADLOCK_VICTIM in error_numbers(error)


def is_operators(error: BaseException | None) -> bool:
    """Whether ``error`` is of the server's health or setup, and not of our statement."""
    return bool(error_numbers(error) & (_TRANSIENT | _THIS_ONE | _OPERATORS))
