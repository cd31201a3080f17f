"""SQLite, the embedded database: a file with mode 0600, WAL, one writer at a time."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError

BUSY_SECONDS = 5  # how long a statement waits for another writer
# Take the write lock at once: a transaction that has read fails with BUSY when it begins to write.
BEGIN = "BEGIN IMMEDIATE"
ROLLBACK = "ROLLBACK"

# The database is locked, full, read-only, damaged or out of reach: https://www.sqlite.org/rescode.html
_TRANSIENT = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def engine_arguments(file: Path) -> tuple[URL, dict[str, Any]]:
    """Return the URL and the options of SQLAlchemy's engine."""
    # With isolation_level None the driver begins no transaction.
    arguments = {"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": False}
    return URL.create("sqlite", database=str(file)), {"connect_args": arguments}


def listen(engine: Engine) -> None:
    """Prepare each new connection and keep the database file private."""
    event.listen(engine, "do_connect", _create_file)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "handle_error", _drop_connection_to_damaged_file)


def _create_file(_dialect: Any, _record: Any, arguments: list[str], _keywords: Any) -> None:
    # SQLite gives its -wal and -shm files the mode of the database file.
    # Do not open a file that exists: closing it would drop all locks that this process has on it
    # (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    file = Path(arguments[0])
    try:
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with suppress(PermissionError):  # the file belongs to another user
            file.chmod(0o600)  # a restored backup may have any mode
    except OSError as error:
        raise sqlite3.OperationalError(f"{file}: {error.strerror}") from error


def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    # With WAL readers and the writer do not wait for each other. FULL makes a commit survive a power cut.
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if _code(error) not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL):
            raise
        reason = (
            "is the file on a shared folder, where WAL does not work? Set TASKS_INSTANCE_PATH"
        )
        raise sqlite3.OperationalError(f"{error}: {reason}") from error
    connection.execute("PRAGMA synchronous = FULL")


def _drop_connection_to_damaged_file(context: Any) -> None:
    # The connection has damaged pages in its cache, and would keep them after the file was restored.
    if _code(context.original_exception) in _DAMAGED:
        context.is_disconnect = True


@contextmanager
def without_waiting(connection: Connection) -> Iterator[None]:
    """Let statements in the block fail at once if another connection writes."""
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def is_transient(error: DBAPIError) -> bool:
    """Return True if the same statement can succeed later."""
    return _code(error.orig) in _TRANSIENT


def _code(error: BaseException | None) -> int:
    # An extended result code has the primary one in its last byte.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
