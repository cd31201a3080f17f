"""SQL Server: Microsoft's ODBC driver, the connection string, connections, error numbers.

Functions import pyodbc late, because a machine that uses SQLite alone may not have unixODBC.
"""

import platform
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.dialects import registry
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import String

LOGIN_SECONDS = 5  # how long the server may take to accept a connection, unless the connection string says otherwise
# How long a statement waits for a lock. The server looks for deadlocks every 5 seconds.
LOCK_SECONDS = 6
QUERY_SECONDS = 7  # how long the server may work on a statement

BEGIN = "BEGIN TRANSACTION"
ROLLBACK = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"  # XACT_ABORT may have rolled back already

NEWEST_DRIVER = "ODBC Driver 18 for SQL Server"
_DRIVER_NAME = re.compile(r"ODBC Driver (1[7-9]|[2-9]\d) for SQL Server")
_PAIR = re.compile(r"\s*([^=;]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)")
_TIMEOUT_KEYWORD = re.compile("(login|connect|connection) ?timeout")

DEADLOCK_VICTIM = 1205
LOCK_TIMEOUT = 1222
# What Microsoft.Data.SqlClient retries: its class SqlConfigurableRetryFactory.
_RETRIED_BY_SQLCLIENT = frozenset(
    {64, 233, 997, 1204, DEADLOCK_VICTIM, LOCK_TIMEOUT, 4060, 4221, 10053, 10054, 10060, 10928}
    | {10929, 40143, 40197, 40501, 40540, 40613, 42108, 42109, 49918, 49919, 49920}
)
# The connection is to a server that is not the primary replica any more (or read-only), or that is shutting down.
MOVED_AWAY = frozenset({596, 976, 978, 983, 3906, 6005})
# No memory, no space, a damaged page, a busy elastic pool.
_OUT_OF_SERVICE = frozenset(
    {701, 823, 824, 945, 1101, 1105, 3958, 3960, 8645, 9001, 9002, 10936, 40544}
)
_TRANSIENT = _RETRIED_BY_SQLCLIENT | MOVED_AWAY | _OUT_OF_SERVICE

registry.register("mssql.tasks_api", f"{__package__}.statements", "Dialect")


def engine_arguments(address: str) -> tuple[URL, dict[str, Any]]:
    """Return the URL and the options of SQLAlchemy's engine."""
    # Keep the server out of the URL, because SQLAlchemy prints URLs in messages.
    return (
        URL.create("mssql+tasks_api"),
        {
            "creator": Connector(connection_string(address)),
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,  # there is nothing to roll back, and it would cost a round trip
        },
    )


def listen(engine: Engine) -> None:
    """Declare each text parameter with the length of its column."""

    # pyodbc would declare each text with its own length, and the server would make one plan per length.
    @event.listens_for(engine, "do_setinputsizes")
    def set_lengths(sizes: dict[Any, Any], *_args: Any) -> None:
        for bind, kind in sizes.items():
            is_text = isinstance(bind.type, String) and bind.type.length
            if is_text and not isinstance(kind, tuple):
                sizes[bind] = (kind, bind.type.length, 0)


def connection_string(address: str) -> str:
    """Return the ODBC connection string for ``address``, with defaults for what it does not say.

    Args:
        address: an SQLAlchemy URL or an ODBC connection string.
    """
    if "://" in address.partition("=")[0]:
        url = make_url(address).set(drivername="mssql+pyodbc")
        query: dict[str, Any] = {name.lower(): value for name, value in url.query.items()}
        url = url.set(query={"driver": find_driver(), **query})
        ((address,), _) = url.get_dialect()().create_connect_args(url)
    defaults = {
        "Driver": "{" + find_driver() + "}",
        "Encrypt": "yes",
        "ConnectRetryCount": "0",  # the pool connects again; the driver would wait ten seconds first
    }
    given = _keywords(address)
    missing = [f"{name}={value}" for name, value in defaults.items() if name.lower() not in given]
    return ";".join([address.rstrip("; "), *missing])


def _keywords(connection_string: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for name, value in _PAIR.findall(connection_string):
        # Of two equal keywords the driver takes the first.
        pairs.setdefault(name.lower(), value.strip())
    return pairs


def database_name(connection_string: str) -> str:
    """Return the name of the database in a connection string, or an empty text."""
    name = _keywords(connection_string).get("database", "")
    return name[1:-1].replace("}}", "}") if name.startswith("{") else name


def on_database(connection_string: str, name: str) -> str:
    """Return the connection string for another database on the same server."""
    pairs = _keywords(connection_string) | {"database": name}
    return ";".join(f"{keyword}={value}" for keyword, value in pairs.items())


@contextmanager
def without_waiting(_connection: Connection) -> Iterator[None]:
    """Do nothing: the statement has the hint NOWAIT."""
    yield


def connect(connection_string: str, query_seconds: int = QUERY_SECONDS) -> Any:
    """Open a connection in autocommit mode on which no statement waits forever.

    Args:
        connection_string: for ODBC.
        query_seconds: how long the server may work on one statement; 0 is forever.

    Raises:
        pyodbc.Error: the driver is missing, or the server is out of reach or refuses the login.
    """
    import pyodbc

    pyodbc.pooling = False  # SQLAlchemy has a pool
    given = _keywords(connection_string).items()
    timeouts = [
        value for name, value in given if _TIMEOUT_KEYWORD.fullmatch(name) and value.isdecimal()
    ]
    seconds = int(timeouts[0]) if timeouts else LOGIN_SECONDS
    connection = pyodbc.connect(connection_string, timeout=seconds, autocommit=True)
    connection.timeout = query_seconds
    # XACT_ABORT: a statement that fails ends its transaction. NOCOUNT OFF: the server reports how many rows changed.
    options = f"SET LOCK_TIMEOUT {LOCK_SECONDS * 1000}; SET XACT_ABORT ON; SET NOCOUNT OFF"
    connection.execute(options).close()
    return connection


@cache
def find_driver() -> str:
    """Find Microsoft's ODBC driver: the newest one that is installed, or the one of the package mssql-python-odbc.

    Returns:
        A name or a path for the connection string. Without any driver it is the newest one's name, so that connecting
        fails with a message that names it.
    """
    import pyodbc

    installed = sorted(name for name in pyodbc.drivers() if _DRIVER_NAME.fullmatch(name))
    return installed[-1] if installed else _packaged_driver() or NEWEST_DRIVER


def _packaged_driver() -> str | None:
    # mssql-python-odbc is made for mssql-python. We use only its driver file; a test checks that it is there.
    try:
        from mssql_python_odbc import get_libs_dir
    except ImportError:
        return None
    machine = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    builds = [str(path) for path in Path(get_libs_dir()).glob(f"**/{machine}/lib/libmsodbcsql*")]
    return min(builds, key=lambda path: _linux_family() not in path, default=None)


def _linux_family() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    ids = f"{release.get('ID')} {release.get('ID_LIKE')}"
    if "suse" in ids:
        return "suse"
    return "rhel" if re.search("rhel|fedora|centos", ids) else "debian_ubuntu"


class Connector:
    """A circuit breaker: after a failure one thread at a time tries to connect, and the others fail at once.

    Microsoft's driver tries for LOGIN_SECONDS even if the server refuses. Without this class every thread of every
    worker would wait so long in each request.
    """

    def __init__(self, connection_string: str) -> None:
        self._connection_string = connection_string
        self._failure: Exception | None = None
        self._trying = threading.Lock()

    def __call__(self) -> Any:
        """Open a connection.

        Raises:
            pyodbc.Error: the connection cannot be opened, or could not be when it was last tried.
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
        try:
            connection = connect(self._connection_string)
        except Exception as error:
            self._failure = error
            raise
        self._failure = None
        return connection


def error_numbers(error: BaseException | None) -> set[int]:
    """Return the server's numbers for an error. The driver puts them at the end of its messages."""
    return {int(number) for number in re.findall(r"\((\d+)\)(?= \(SQL|;|$)", message(error))}


def message(error: BaseException | None) -> str:
    """Return the driver's words for an error."""
    return str(error.args[-1] if error is not None and error.args else error)


def is_deadlock_victim(error: DBAPIError) -> bool:
    """Return True if the server has chosen this transaction as the victim of a deadlock."""
    return DEADLOCK_VICTIM in error_numbers(error.orig)


def is_transient(error: DBAPIError) -> bool:
    """Return True if the same statement can succeed later."""
    return bool(error_numbers(error.orig) & _TRANSIENT)
