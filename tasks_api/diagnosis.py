"""What ``flask db check`` says: how the database is reached and how it is; when it is not, why and what to do."""

import ctypes
import re
import sqlite3
import statistics
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import URL, Connection, Engine

from . import migrations, sqlserver
from .config import Settings

# What the service does to its tables, and README's 'Least privilege' grants.
NEEDED = {
    "[User]": ("SELECT", "INSERT", "UPDATE"),
    "Task": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "RefreshToken": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "SchemaVersion": ("SELECT",),
}

# The first that matches what the driver says. {host} is the server, {login} the user.
_ADVICE = (
    (sqlserver.UNTRUSTED_FREETDS, "install Microsoft's driver, or {trust}"),
    (
        r"certificate|SSL Provider",
        "the server's certificate is not trusted: give it one that this machine trusts, with {name} as its name, "
        "or {trust}",
    ),
    (
        r"SSPI|Kerberos|GSS",
        "without user and password the login is this machine's account, which needs Kerberos: run kinit, or give a "
        "login of SQL Server's (UID and PWD)",
    ),
    (r"\(18456\)|\(18452\)|\(18470\)", "the server refused {login}: check user and password"),
    (r"\(40615\)", "Azure SQL's firewall: let this machine's address in, in the portal under Networking"),
    (
        r"\(4060\)|\(911\)",
        "database {database} is not there or not open to {login}: run '.venv/bin/flask --app wsgi db create' (on Azure "
        "SQL make it in the portal), or make {login} a user in it",
    ),
    (
        r"\((229|230|262|297|300|916|1088|15151|15247)\)",
        "{login} lacks a permission: README, 'Least privilege', has the T-SQL for the service; 'db create' and "
        "'db upgrade' need a login that may create databases and tables",
    ),
    (r"Invalid value specified for connection string", "TASKS_DATABASE_URL has a value that the driver does not know"),
    (r"IM00[2-9]|Can't open lib|Driver Manager", "{driver}"),
    (
        r"HYT0[01]|08001|08S01|Unable to connect|Adaptive Server",
        "no SQL Server answers at {host}: check name, port and firewall, and that the server listens on TCP",
    ),
)
_TRUST = (
    "add TrustServerCertificate=yes to TASKS_DATABASE_URL, which costs the proof that this is your server: "
    "the line stays encrypted, but whoever sits in between can read and change everything"
)
_ABOUT_SERVER = """
SELECT
    CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version,
    CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition,
    DB_NAME() AS name,
    SUSER_SNAME() AS login,
    (SELECT is_read_committed_snapshot_on FROM sys.databases WHERE name = DB_NAME()) AS snapshot
"""


def report(engine: Engine, settings: Settings) -> tuple[list[tuple[str, str]], bool]:
    """What a database that answers is like.

    Returns:
        Lines of a name and what there is to say, and whether the service can work with it.

    Raises:
        SQLAlchemyError: it does not answer; ``explain`` says why.
    """
    with engine.connect() as connection:
        lines = _embedded(settings) if settings.is_sqlite else _server(connection, settings.database_url)
        lines.append(("latency", f"{_latency(connection) * 1000:.2f} ms a round trip"))
        waiting = [script.name for script in migrations.pending(engine, settings)]
        missing = [] if settings.is_sqlite or waiting else _missing_permissions(connection)
    lines.append(
        ("schema", f"not current ({', '.join(waiting)}): run 'flask --app wsgi db upgrade'" if waiting else "current")
    )
    if missing:
        lines.append(("permissions", f"missing: {', '.join(missing)}; README, 'Least privilege', has the T-SQL"))
    return lines, not waiting and not missing


def _embedded(settings: Settings) -> list[tuple[str, str]]:
    return [("driver", f"SQLite {sqlite3.sqlite_version}"), ("database", str(settings.database_file))]


def _server(connection: Connection, url: URL) -> list[tuple[str, str]]:
    import pyodbc

    driver: Any = connection.connection.dbapi_connection
    version, edition, name, login, snapshot = connection.execute(text(_ABOUT_SERVER)).one()
    if url.query.get("encrypt") in ("no", "optional"):
        encryption = "off, unless the server insists: remove Encrypt=no"
    elif url.query.get("trustservercertificate") == "yes":
        encryption = "on, but the server's certificate is not checked (TrustServerCertificate)"
    else:
        encryption = "on, the server's certificate is checked"
    reads = "on" if snapshot else "off: readers wait for writers, 'db create' switches it on"
    return [
        ("driver", f"{driver.getinfo(pyodbc.SQL_DRIVER_NAME)} {driver.getinfo(pyodbc.SQL_DRIVER_VER)}"),
        ("server", f"{_host(url)}, SQL Server {version}, {edition}"),
        ("database", f"{name} as {login}, read-committed snapshot {reads}"),
        ("encryption", encryption),
    ]


def _latency(connection: Connection) -> float:
    def once() -> float:
        started = time.perf_counter()
        connection.execute(text("SELECT 1")).scalar_one()
        return time.perf_counter() - started

    return statistics.median(once() for _ in range(9))


def _missing_permissions(connection: Connection) -> list[str]:
    query = text("SELECT HAS_PERMS_BY_NAME(:name, 'OBJECT', :permission)")
    return [
        f"{permission} on {table}"
        for table, permissions in NEEDED.items()
        for permission in permissions
        if connection.execute(query, {"name": table, "permission": permission}).scalar() != 1
    ]


def explain(error: Exception, settings: Settings) -> str:
    """Why the database does not answer, and what to do about it, in one line without secrets."""
    original = getattr(error, "orig", None) or error
    reason = sqlserver.message(original)
    url = settings.database_url
    if settings.is_sqlite:
        return f"the database {settings.database_file} does not answer: {reason}"
    for pattern, advice in _ADVICE:
        if re.search(pattern, str(original), re.IGNORECASE):
            known = {
                "host": _host(url),
                "name": url.host,
                "login": url.username or "this machine's account",
                "database": url.database,
                "trust": _TRUST,
                "driver": _driver_advice(str(url.query.get("driver") or sqlserver.find_driver())),
            }
            return f"{advice.format(**known)} ({reason})"
    return f"the database does not answer: {reason}"


def _host(url: URL) -> str:
    return f"{url.host}:{url.port}" if url.port else str(url.host)


def _driver_advice(driver: str) -> str:
    install = "install it (make install EXTRAS=sqlserver, or Microsoft's package msodbcsql18)"
    if not Path(driver).is_file():
        return f"there is no ODBC driver called {driver}: {install}"
    try:
        ctypes.CDLL(driver)
    except OSError as error:  # it names the library that is missing
        return f"the driver lacks a system library: {error} (Debian, Ubuntu: apt-get install libgssapi-krb5-2 libltdl7)"
    return f"the driver {driver} does not load"
