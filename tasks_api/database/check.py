"""What ``flask db check`` says: how the database is reached and how it is; when it is not, why and what to do."""

import ctypes
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from ..config import Settings
from ..config.database_url import Keywords
from . import migrations, sqlserver

# The first whose pattern matches what the driver says.
_ADVICE = {
    r"no such (table|column)|\((207|208)\)": (
        "the schema is not current: run 'flask --app tasks_api db upgrade'"
    ),
    r"certificate|SSL Provider": (
        "the server's certificate is not trusted: give it one that this machine trusts, with {server} as its name, or "
        "add TrustServerCertificate=yes to TASKS_DATABASE_URL, which costs the proof that this is your server: "
        "the line stays encrypted, but whoever sits in between can read and change everything"
    ),
    r"SSPI|Kerberos|GSS|\((18456|18452|18470|40615)\)": (
        "the server refused {login}: check user and password (without them it is this machine's account, which "
        "needs Kerberos: run kinit), and Azure SQL's firewall"
    ),
    r"\((4060|911)\)": (
        "database {database} is not there or not open to {login}: run 'flask --app tasks_api db create' (on Azure "
        "SQL make it in the portal), or make {login} a user in it"
    ),
    r"\((229|230|262|297|300|916|1088|15151|15247)\)": (
        "{login} lacks a permission: docs/sql-server.md, 'Least privilege', has the T-SQL for the service; "
        "'db create' and 'db upgrade' need a login that may create databases and tables"
    ),
    r"IM00[2-9]|Can't open lib|Driver Manager": "",  # see _about_driver
    r"HYT0[01]|08001|08S01": (
        "no SQL Server answers at {server}: check name, port and firewall, and that the server listens on TCP"
    ),
}
_ABOUT_SERVER = """
SELECT
    CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version,
    CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition,
    DB_NAME() AS name,
    SUSER_SNAME() AS login,
    (SELECT is_read_committed_snapshot_on FROM sys.databases WHERE name = DB_NAME()) AS snapshot
"""
# What the service does to its tables, and docs/sql-server.md, 'Least privilege', grants.
_MISSING = """
SELECT needed.permission + ' on ' + needed.name AS missing
FROM (
    SELECT grants.permission, tables.name
    FROM (VALUES ('SELECT', 0), ('INSERT', 1), ('UPDATE', 1), ('DELETE', 1)) AS grants (permission, rank)
    INNER JOIN (VALUES ('[User]', 1), ('Task', 1), ('RefreshToken', 1), ('SchemaVersion', 0)) AS tables (name, rank)
        ON grants.rank <= tables.rank
) AS needed
WHERE COALESCE(HAS_PERMS_BY_NAME(needed.name, 'OBJECT', needed.permission), 0) = 0
"""

# Beside one OUTPUT clauses fail (error 334), and the number of changed rows is the trigger's.
_TRIGGERS = """
SELECT name
FROM sys.triggers
WHERE is_disabled = 0 AND parent_id IN (OBJECT_ID('[User]'), OBJECT_ID('Task'), OBJECT_ID('RefreshToken'))
"""


def report(engine: Engine, settings: Settings) -> tuple[dict[str, str], bool]:
    """What a database that answers is like.

    Returns:
        What there is to say, by its name, and whether the service can work with it.

    Raises:
        SQLAlchemyError: it does not answer; ``explain`` says why.
    """
    facts = {"driver": f"SQLite {sqlite3.sqlite_version}", "database": str(settings.database_file)}
    missing: Sequence[str] = ()
    triggers: Sequence[str] = ()
    waiting = migrations.pending(engine, settings)
    if settings.sqlserver:
        with engine.connect() as connection:
            facts = _about_server(connection, settings.sqlserver)
            missing = () if waiting else connection.execute(text(_MISSING)).scalars().all()
            triggers = connection.execute(text(_TRIGGERS)).scalars().all()
    facts["schema"] = migrations.advice(waiting) if waiting else "current"
    if missing:
        facts["permissions"] = f"missing: {', '.join(missing)}"
    if triggers:
        facts["triggers"] = (
            f"drop or disable {', '.join(triggers)}: in the way of the service's statements"
        )
    return facts, not (waiting or missing or triggers)


def _about_server(connection: Connection, keywords: Keywords) -> dict[str, str]:
    import pyodbc

    driver: Any = connection.connection.dbapi_connection
    version, edition, name, login, snapshot = connection.execute(text(_ABOUT_SERVER)).one()
    encryption = "on, the server's certificate is checked"
    if keywords.get("encrypt") in ("no", "optional"):
        encryption = "off, unless the server insists: remove Encrypt=no"
    elif keywords.get("trustservercertificate") == "yes":
        encryption = "on, but the server's certificate is not checked (TrustServerCertificate)"
    reads = "on" if snapshot else "off: readers wait for writers, 'db create' switches it on"
    used = [driver.getinfo(what) for what in (pyodbc.SQL_DRIVER_NAME, pyodbc.SQL_DRIVER_VER)]
    return {
        "driver": " ".join(used),
        "server": f"{keywords['server']}, SQL Server {version}, {edition}",
        "database": f"{name} as {login}, read-committed snapshot {reads}",
        "encryption": encryption,
    }


def explain(error: Exception, settings: Settings) -> str:
    """Why the database does not answer, and what to do about it, in one line without secrets."""
    original = getattr(error, "orig", None) or error
    known = settings.sqlserver or {"database": str(settings.database_file)}
    said = f"the database {known['database']} does not answer"
    for pattern, advice in _ADVICE.items():
        if re.search(pattern, str(original), re.IGNORECASE):
            said = advice.format(
                server=known.get("server"),
                login=known.get("uid", "this machine's account"),
                database=known["database"],
            )
            break
    said = said or _about_driver(known.get("driver", ""))
    return f"{said}: {sqlserver.message(original)}"


def _about_driver(named: str) -> str:
    driver = named or sqlserver.find_driver()
    if not Path(driver).is_file():
        install = "make install EXTRAS=sqlserver, or Microsoft's package msodbcsql18"
        return f"there is no ODBC driver called {driver}: install it ({install})"
    try:
        ctypes.CDLL(driver)
    except OSError as error:  # it names the library that is missing
        packages = "apt-get install libgssapi-krb5-2 libltdl7"
        return f"the driver lacks a system library: {error} (Debian, Ubuntu: {packages})"
    return f"the driver {driver} does not load"
