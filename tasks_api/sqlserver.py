"""The way to SQL Server: the ODBC driver, the connection string, connections, error numbers.

pyodbc is imported where it is used: it needs unixODBC, which nobody needs who stays on SQLite.
"""

import platform
import re
import sys
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL

if TYPE_CHECKING:
    import pyodbc

LOGIN_SECONDS = 5  # how long the server may take to let us in
LOCK_SECONDS = 6  # how long a statement waits for somebody else's lock; the server looks for deadlocks every 5
QUERY_SECONDS = 7  # how long it may work on one statement; a server that says nothing at all costs thrice as much

MICROSOFT = "ODBC Driver 18 for SQL Server"
UNTRUSTED_FREETDS = "FreeTDS cannot check the server's certificate"

_MICROSOFTS = re.compile(r"(ODBC Driver [\d.]+ for )?SQL Server( Native Client [\d.]+)?")
_INSTALLED = re.compile(r"ODBC Driver (\d+) for SQL Server")
_FREETDS = re.compile("freetds|tdsodbc", re.IGNORECASE)
# Error numbers, https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
DEADLOCK_VICTIM = 1205
LOCK_TIMEOUT = 1222
# The connection or the server went away, or Azure SQL asks to come back:
# https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
TRANSIENT = frozenset(
    {64, 233, 596, 4060, 6005, 10053, 10054, 10060, 10928, 10929, 18401, 40197, 40501, 40613, 49918, 49919, 49920}
)
# What an operator has to mend: login, permission, space, memory, damage, locks, read-only.
_OPERATORS = frozenset(
    {229, 230, 262, 297, 701, 823, 824, 825, 845, 916, 926, 945, 1101, 1105, 1204, LOCK_TIMEOUT, 3906}
    | {8645, 8651, 9001, 9002, 18452, 18456, 40544}
)


def connection_string(url: URL) -> str:
    """Make the ODBC connection string of ``url``, encrypted if it does not say otherwise."""
    query = {name: str(value) for name, value in url.query.items() if name != "driver"}
    driver = _driver(url)
    pairs = {"Driver": driver, "Server": url.host or "", "Database": url.database or ""}
    if url.username:
        pairs["UID"] = url.username
        if url.password is not None:
            pairs["PWD"] = str(url.password)
    elif "authentication" not in query:
        query.setdefault("trusted_connection", "yes")
    encrypt = query.pop("encrypt", "yes")
    if _FREETDS.search(driver):
        query.pop("trustservercertificate", None)
        pairs |= {"TDS_Version": "7.4", "ClientCharset": "UTF-8"}
        pairs["Encryption"] = "off" if encrypt in ("no", "optional") else "require"
        if url.port or "\\" not in pairs["Server"]:
            pairs["Port"] = str(url.port or 1433)
    else:
        pairs["Encrypt"] = encrypt
        # Reconnecting is the pool's work: it answers at once, the driver's own retry waits ten seconds.
        pairs["ConnectRetryCount"] = query.pop("connectretrycount", "0")
        if url.port:
            pairs["Server"] += f",{url.port}"
    return ";".join(f"{name}={_quoted(value)}" for name, value in (pairs | query).items())


def connect(url: URL, query_seconds: int = QUERY_SECONDS, login_seconds: int = LOGIN_SECONDS) -> "pyodbc.Connection":
    """Open a connection in autocommit mode on which no statement waits for ever.

    Args:
        url: as ``address.address`` gives it.
        query_seconds: how long the server may work on one statement; 0: for ever.
        login_seconds: how long it may take to let us in.

    Raises:
        pyodbc.Error: there is no driver, no way to the server, or no way in.
    """
    import pyodbc

    pyodbc.pooling = False  # SQLAlchemy has a pool
    unchecked = url.query.get("encrypt") in ("no", "optional") or url.query.get("trustservercertificate") == "yes"
    if _FREETDS.search(_driver(url)) and not unchecked:
        raise pyodbc.InterfaceError("08001", UNTRUSTED_FREETDS)
    connection = pyodbc.connect(connection_string(url), timeout=login_seconds, autocommit=True)
    connection.timeout = query_seconds
    # XACT_ABORT: a statement that fails leaves no half of its transaction.
    connection.execute(f"SET LOCK_TIMEOUT {LOCK_SECONDS * 1000}; SET XACT_ABORT ON").close()
    return connection


class Connector:
    """Opens connections for a pool. While the server is away, one thread at a time tries and the rest are told.

    Microsoft's driver goes on trying for LOGIN_SECONDS even when it is refused; without this, every thread of
    every worker would hang so long on each request of an outage.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._failure: Exception | None = None
        self._successes = 0
        self._trying = threading.Lock()

    def __call__(self) -> "pyodbc.Connection":
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

    def _connect(self) -> "pyodbc.Connection":
        successes = self._successes
        try:
            connection = connect(self._url)
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
    return str(error.args[1] if isinstance(error, Exception) and len(error.args) > 1 else error)


def is_broken(error: BaseException | None) -> bool:
    """Whether server or line are away for a moment: the connection is of no more use, another one may be."""
    return bool(error_numbers(error) & TRANSIENT) or "[FreeTDS][SQL Server]Unknown error (0)" in str(error)


def is_operators(error: BaseException | None) -> bool:
    """Whether ``error`` is of the server's health or setup, and not of our statement."""
    return is_broken(error) or bool(error_numbers(error) & (_OPERATORS | {DEADLOCK_VICTIM}))


def _driver(url: URL) -> str:
    named = str(url.query.get("driver") or "")
    # A string that was written elsewhere names the driver that was there.
    elsewhere = _MICROSOFTS.fullmatch(named) and named not in _installed()
    return find_driver() if not named or elsewhere else named


@cache
def find_driver() -> str:
    """Find an ODBC driver: an installed one of Microsoft's, the one that PyPI carries, FreeTDS.

    Returns:
        The name, or the path, that goes into the connection string. With no driver at all it is the name
        of Microsoft's, so that connecting says what is missing.
    """
    installed = _installed()
    newest = max((int(found[1]) for name in installed if (found := _INSTALLED.fullmatch(name))), default=0)
    if newest >= 18 or not (carried := _carried_driver()):
        freetds = next((name for name in installed if name.lower() == "freetds"), MICROSOFT)
        return f"ODBC Driver {newest} for SQL Server" if newest >= 17 else freetds
    return str(carried)


def _installed() -> list[str]:
    import pyodbc

    return list(pyodbc.drivers())


def _carried_driver() -> Path | None:
    if sys.platform == "win32":  # Windows loads registered drivers only
        return None
    try:
        from mssql_python_odbc import get_libs_dir
    except ImportError:
        return None
    machine = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    if sys.platform == "darwin":
        folders = [f"macos/{machine}"]
    else:
        # One build for each family of Linux; a wheel for musl holds the alpine one only.
        try:
            system = platform.freedesktop_os_release()
        except OSError:
            system = {}
        names = f"{system.get('ID', '')} {system.get('ID_LIKE', '')}"
        family = "rhel" if re.search("rhel|fedora|centos", names) else "suse" if "suse" in names else "debian_ubuntu"
        folders = [f"linux/{family}/{machine}", f"linux/alpine/{machine}"]
    found = [path for folder in folders for path in sorted(Path(get_libs_dir(), folder, "lib").glob("libmsodbcsql*"))]
    return found[0] if found else None


def _quoted(value: str) -> str:
    if re.fullmatch(r"[\w.,:\\/@+\-]*", value):
        return value
    return "{" + value.replace("}", "}}") + "}"
