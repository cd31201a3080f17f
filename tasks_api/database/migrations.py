"""The script runner: applies sql/sqlite or sql/sqlserver, numbered, recorded, once each.

Each script runs in one transaction under a lock that only one process can hold, so several may start
together. A script records itself in SchemaVersion; run by hand it leaves the same database.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from ..config import ROOT, Settings
from ..config.database_url import Keywords
from . import sqlite, sqlserver

UPGRADE_SECONDS = 60  # how long a process waits for another one that upgrades
_GO = re.compile(r"^\s*GO\s*$", re.IGNORECASE | re.MULTILINE)


class MigrationError(click.ClickException):
    """A script that cannot be applied, with the reason that a person can act on."""


def scripts(settings: Settings) -> list[Path]:
    """All schema scripts for the settings' database, in order. Number 000 makes the database itself."""
    return sorted(
        path for path in _folder(settings).glob("[0-9][0-9][0-9]_*.sql") if _version(path)
    )


def pending(engine: Engine, settings: Settings) -> list[Path]:
    """The scripts that the database has not seen."""
    with engine.connect() as connection:
        done = _recorded(connection)
    return [script for script in scripts(settings) if _version(script) not in done]


def advice(waiting: list[Path]) -> str:
    """What to do about the scripts that wait."""
    names = ", ".join(script.name for script in waiting)
    return f"not current ({names}): run 'flask --app tasks_api db upgrade'"


def _version(script: Path) -> int:
    return int(script.name[:3])


def create(keywords: Keywords) -> list[str]:
    """Make a database on SQL Server, if it is not there.

    Args:
        keywords: its address, as ``read_database_url`` gives it.

    Returns:
        What the server refused of ``000_create_database.sql`` after the database was there.

    Raises:
        MigrationError: the server did not make it.
        SQLAlchemyError: there is no way to the server.
    """
    name = keywords["database"]
    source = (ROOT / "sql" / "sqlserver" / "000_create_database.sql").read_text(encoding="utf-8")
    source = source.replace("N'TasksDb'", "N'" + name.replace("'", "''") + "'")
    source = source.replace("[TasksDb]", "[" + name.replace("]", "]]") + "]")
    master = partial(
        sqlserver.connect, keywords | {"database": "master"}, query_seconds=0, login_seconds=30
    )
    engine = create_engine(
        "mssql+pyodbc://", creator=master, isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    refused = []
    with engine.connect() as connection:
        for number, batch in enumerate(_batches(source)):
            try:
                _execute(connection, batch)
            except MigrationError as error:
                if number == 0:
                    raise
                refused.append(str(error))
    return refused


def upgrade(engine: Engine, settings: Settings) -> list[Path]:
    """Apply what is pending.

    Returns:
        The scripts that were applied here; another process may have applied the rest meanwhile.

    Raises:
        MigrationError: a script refuses, or did not record itself.
    """
    applied = []
    with _patient(engine) as connection:
        done = _recorded(connection)
        for script in [script for script in scripts(settings) if _version(script) not in done]:
            _lock(connection)
            if _version(script) not in _recorded(connection):
                run(connection, script)
                if _version(script) not in _recorded(connection):
                    raise MigrationError(f"{script.name} did not record itself in SchemaVersion")
                applied.append(script)
            _execute(connection, "COMMIT")
    return applied


def seed(engine: Engine, settings: Settings) -> bool:
    """Insert the demo users and their tasks into a database that has no users.

    Returns:
        Whether it was done.
    """
    with _patient(engine) as connection:
        _lock(connection)
        if connection.execute(text('SELECT COUNT(*) FROM "User"')).scalar_one():
            return False
        run(connection, _folder(settings) / "seed.sql")
        _execute(connection, "COMMIT")
    return True


def run(connection: Connection, path: Path) -> None:
    """Run one file in the connection's transaction.

    Raises:
        MigrationError: the database refused a statement; nothing of the file stays.
    """
    source = path.read_text(encoding="utf-8")
    for statement in (
        _statements(source) if connection.dialect.name == "sqlite" else _batches(source)
    ):
        try:
            _execute(connection, statement)
        except MigrationError as error:
            connection.invalidate()  # closes it, and nothing of the transaction stays
            raise MigrationError(
                f"{path.name}: {_explain(connection.engine, str(error))}"
            ) from error


def _execute(connection: Connection, statement: str) -> None:
    # Not SQLAlchemy's execute, which stops at a batch's first result: an error can come in a later one.
    cursor: Any = connection.connection.cursor()
    try:
        cursor.execute(statement)
        while connection.dialect.name != "sqlite" and cursor.nextset():
            pass
        cursor.close()
    except Exception as error:
        raise MigrationError(sqlserver.message(error)) from error


def _explain(engine: Engine, reason: str) -> str:
    if "UX_User_Email" not in reason and "User.Email" not in reason:
        return reason
    query = text(
        'SELECT LOWER(Email), COUNT(*) FROM "User" GROUP BY LOWER(Email) HAVING COUNT(*) > 1 ORDER BY 1'
    )
    with engine.connect() as connection:
        emails = ", ".join(
            f"{email} ({count} times)" for email, count in connection.execute(query).fetchmany(20)
        )
    return f"users share an email; make them unique first: {emails}" if emails else reason


def _folder(settings: Settings) -> Path:
    return ROOT / "sql" / ("sqlserver" if settings.sqlserver else "sqlite")


@contextmanager
def _patient(engine: Engine) -> Iterator[Connection]:
    """A connection that waits for as long as an upgrade takes. It does not go back to the pool."""
    with engine.connect() as connection:
        try:
            if engine.dialect.name == "mssql":
                driver: Any = connection.connection.dbapi_connection
                driver.timeout = 0
                _execute(connection, f"SET LOCK_TIMEOUT {UPGRADE_SECONDS * 1000}")
            yield connection
        finally:
            connection.invalidate()


def _lock(connection: Connection) -> None:
    """Begin a transaction that no other process's overlaps."""
    _execute(connection, sqlite.BEGIN if connection.dialect.name == "sqlite" else _LOCK)


_LOCK = f"""
BEGIN TRANSACTION;
DECLARE @result int;
EXEC @result = sp_getapplock @Resource = 'tasks_api.migrations', @LockMode = 'Exclusive', @LockOwner = 'Transaction',
    @LockTimeout = {UPGRADE_SECONDS * 1000};
IF @result < 0 THROW 50000, 'another process is still upgrading this database', 1;
"""


def _recorded(connection: Connection) -> set[int]:
    if not inspect(connection).has_table("SchemaVersion"):
        return set()
    return set(connection.execute(text("SELECT Version FROM SchemaVersion")).scalars())


def _batches(source: str) -> list[str]:
    return [batch for batch in _GO.split(source) if batch.strip()]


def _statements(source: str) -> Iterator[str]:
    statement = ""
    for line in source.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    yield statement  # what is left: nothing, or a comment
