"""The script runner: applies the numbered scripts of sql/sqlite or sql/sqlserver, each once, in its own transaction.

A lock makes simultaneous upgrades safe. Each script records itself in SchemaVersion, so it can also be run by hand.
"""

import re
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from ..config import ROOT, Settings
from . import sqlite, sqlserver

LOCK_SECONDS = 60  # how long a process waits for another one that applies scripts
_GO = re.compile(r"^\s*GO\s*$", re.IGNORECASE | re.MULTILINE)
_LOCK_SQLSERVER = f"""
SET LOCK_TIMEOUT {LOCK_SECONDS * 1000};
IF SCHEMA_NAME() <> N'dbo' THROW 50000, 'the default schema of this login must be dbo', 1;
BEGIN TRANSACTION;
DECLARE @result int;
EXEC @result = sp_getapplock @Resource = 'tasks_api.migrations', @LockMode = 'Exclusive', @LockOwner = 'Transaction',
    @LockTimeout = {LOCK_SECONDS * 1000};
IF @result < 0 THROW 50000, 'another process is still upgrading this database', 1;
"""


class MigrationError(click.ClickException):
    """A script cannot be applied. The message is for the operator."""


def scripts(settings: Settings) -> list[Path]:
    """Return the schema scripts for the settings' database in their order.

    Raises:
        MigrationError: there are no scripts, or two of one number.
    """
    folder = _folder(settings)
    found = sorted(path for path in folder.glob("[0-9][0-9][0-9]_*.sql") if _version(path))
    if not found:
        raise MigrationError(f"There are no schema scripts in {folder}.")
    if len({_version(path) for path in found}) < len(found):
        raise MigrationError(f"Two schema scripts in {folder} have the same number.")
    return found


def pending(engine: Engine, settings: Settings) -> list[Path]:
    """Return the scripts that the database does not have yet."""
    with engine.connect() as connection:
        done = _recorded(connection)
    return [script for script in scripts(settings) if _version(script) not in done]


def advice(missing: list[Path]) -> str:
    """Say what to do about pending scripts."""
    names = ", ".join(script.name for script in missing)
    return f"not current ({names}): run 'flask --app tasks_api db upgrade'"


def create(connection_string: str) -> None:
    """Create the database on SQL Server, if it does not exist, and set its options. It can be run again.

    Args:
        connection_string: for ODBC; it names the database.

    Raises:
        MigrationError: the server refused a statement.
        SQLAlchemyError: the server cannot be reached.
    """
    name = sqlserver.database_name(connection_string)
    if not name:
        raise MigrationError("TASKS_DATABASE_URL names no database.")
    source = (ROOT / "sql" / "sqlserver" / "000_create_database.sql").read_text(encoding="utf-8")
    source = source.replace("N'TasksDb'", "N'" + name.replace("'", "''") + "'")
    source = source.replace("[TasksDb]", "[" + name.replace("]", "]]") + "]")
    engine = _sqlserver_engine(sqlserver.on_database(connection_string, "master"))
    with engine.connect() as connection:
        for batch in _batches(source):
            _execute(connection, batch)


def upgrade(settings: Settings) -> list[Path]:
    """Apply the pending scripts.

    Returns:
        The scripts that were applied here. Another process may have applied others meanwhile.

    Raises:
        MigrationError: a script failed, or did not record itself.
        SQLAlchemyError: the database cannot be reached.
    """
    applied = []
    engine = _patient_engine(settings)
    for script in pending(engine, settings):
        with engine.connect() as connection:
            _begin_alone(connection)
            if _version(script) not in _recorded(connection):
                _run(connection, script)
                if _version(script) not in _recorded(connection):
                    raise MigrationError(f"{script.name} did not record itself in SchemaVersion.")
                applied.append(script)
            _execute(connection, "COMMIT")
    return applied


def seed(settings: Settings) -> bool:
    """Insert the demo users and their tasks if the database has no users. Return whether it was done."""
    with _patient_engine(settings).connect() as connection:
        _begin_alone(connection)
        if connection.execute(text('SELECT COUNT(*) FROM "User"')).scalar_one():
            return False
        _run(connection, _folder(settings) / "seed.sql")
        _execute(connection, "COMMIT")
    return True


def _folder(settings: Settings) -> Path:
    return ROOT / "sql" / ("sqlite" if settings.database_file else "sqlserver")


def _version(script: Path) -> int:
    return int(script.name[:3])


def _patient_engine(settings: Settings) -> Engine:
    """Make an engine without query timeout. NullPool: closing a connection rolls back its transaction."""
    if not settings.database_file:
        return _sqlserver_engine(sqlserver.connection_string(settings.database_url))
    url, options = sqlite.engine_arguments(settings.database_file)
    options["connect_args"]["timeout"] = LOCK_SECONDS
    engine = create_engine(url, poolclass=NullPool, **options)
    sqlite.listen(engine)
    return engine


def _sqlserver_engine(connection_string: str) -> Engine:
    creator = partial(sqlserver.connect, connection_string, query_seconds=0)
    return create_engine(
        "mssql+pyodbc://", creator=creator, isolation_level="AUTOCOMMIT", poolclass=NullPool
    )


def _begin_alone(connection: Connection) -> None:
    """Begin a transaction and take the lock of upgrades."""
    is_sqlite = connection.dialect.name == "sqlite"
    _execute(connection, sqlite.BEGIN if is_sqlite else _LOCK_SQLSERVER)


def _recorded(connection: Connection) -> set[int]:
    schema = None if connection.dialect.name == "sqlite" else "dbo"
    if not inspect(connection).has_table("SchemaVersion", schema):
        return set()
    return set(connection.execute(text("SELECT Version FROM SchemaVersion")).scalars())


def _run(connection: Connection, script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    is_sqlite = connection.dialect.name == "sqlite"
    for statement in _sqlite_statements(source) if is_sqlite else _batches(source):
        try:
            _execute(connection, statement)
        except MigrationError as error:
            raise MigrationError(f"{script.name}: {error}") from error


def _execute(connection: Connection, statement: str) -> None:
    # SQLAlchemy's execute would stop at a batch's first result, and an error can come in a later one.
    cursor: Any = connection.connection.cursor()
    try:
        cursor.execute(statement)
        while connection.dialect.name != "sqlite" and cursor.nextset():
            pass
        cursor.close()
    except Exception as error:
        raise MigrationError(sqlserver.message(error)) from error


def _batches(source: str) -> list[str]:
    return [batch for batch in _GO.split(source) if batch.strip()]


def _sqlite_statements(source: str) -> Iterator[str]:
    statement = ""
    for line in source.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    yield statement  # a comment, or a statement without a semicolon
