"""The script runner: applies sql/sqlite or sql/sqlserver, numbered, recorded, once each.

Each script runs in one transaction under a lock that only one process can hold, so several may start
together. A script records itself in SchemaVersion; run by hand it leaves the same database.
"""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection, Engine

from .config import ROOT, Settings

LOCK_MILLISECONDS = 60_000
_NUMBERED = re.compile(r"(\d{3})_\w+\.sql")
_GO = re.compile(r"^\s*GO\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """One numbered file."""

    version: int
    path: Path

    @property
    def name(self) -> str:
        """Its file name."""
        return self.path.name


class MigrationError(Exception):
    """A script that cannot be applied, with the reason that a person can act on."""


def scripts(settings: Settings) -> list[Script]:
    """All schema scripts for the settings' database, in order."""
    found = [(match, path) for path in _folder(settings).iterdir() if (match := _NUMBERED.fullmatch(path.name))]
    numbered = [Script(int(match[1]), path) for match, path in found if int(match[1]) > 0]
    return sorted(numbered, key=lambda script: script.version)


def pending(engine: Engine, settings: Settings) -> list[Script]:
    """The scripts that the database has not seen."""
    with engine.connect() as connection:
        done = _recorded(connection)
    return [script for script in scripts(settings) if script.version not in done]


def upgrade(engine: Engine, settings: Settings) -> list[Script]:
    """Apply what is pending.

    Returns:
        The scripts that were applied here; another process may have applied the rest meanwhile.

    Raises:
        MigrationError: a script refuses, or did not record itself.
    """
    applied = []
    for script in pending(engine, settings):
        with engine.connect() as connection:
            _lock(connection)
            if script.version not in _recorded(connection):
                run(connection, script.path)
                if script.version not in _recorded(connection):
                    raise MigrationError(f"{script.name} did not record itself in SchemaVersion")
                applied.append(script)
            connection.commit()
    return applied


def seed(engine: Engine, settings: Settings) -> bool:
    """Insert the demo users and their tasks into a database that has no users.

    Returns:
        Whether it was done.
    """
    with engine.connect() as connection:
        _lock(connection)
        if connection.execute(text('SELECT COUNT(*) FROM "User"')).scalar_one():
            return False
        run(connection, _folder(settings) / "seed.sql")
        connection.commit()
    return True


def run(connection: Connection, path: Path) -> None:
    """Run one file in the connection's transaction.

    Raises:
        MigrationError: the database refused a statement; nothing of the file stays.
    """
    source = path.read_text(encoding="utf-8")
    for statement in _statements(source) if connection.dialect.name == "sqlite" else _GO.split(source):
        if statement.strip():
            try:
                connection.exec_driver_sql(statement)
            except Exception as error:
                reason = str(getattr(error, "orig", error))
                raise MigrationError(f"{path.name}: {_explain(connection, reason)}") from error


def _explain(connection: Connection, reason: str) -> str:
    if "UX_User_Email" not in reason and "User.Email" not in reason:
        return reason
    connection.rollback()
    query = text('SELECT LOWER(Email), COUNT(*) FROM "User" GROUP BY LOWER(Email) HAVING COUNT(*) > 1 ORDER BY 1')
    emails = ", ".join(f"{email} ({count} times)" for email, count in connection.execute(query).fetchmany(20))
    return f"users share an email; make them unique first: {emails}"


def _folder(settings: Settings) -> Path:
    return ROOT / "sql" / ("sqlite" if settings.is_sqlite else "sqlserver")


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    statement = (
        "DECLARE @result int; EXEC @result = sp_getapplock @Resource = 'tasks_api.migrations', "
        f"@LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = {LOCK_MILLISECONDS}; "
        "IF @result < 0 THROW 50000, 'another process is still upgrading this database', 1;"
    )
    connection.exec_driver_sql(statement)


def _recorded(connection: Connection) -> set[int]:
    if not inspect(connection).has_table("SchemaVersion"):
        return set()
    return set(connection.execute(text("SELECT Version FROM SchemaVersion")).scalars())


def _statements(source: str) -> Iterator[str]:
    statement = ""
    for line in source.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if re.sub(r"--.*", "", statement).strip():
        yield statement
