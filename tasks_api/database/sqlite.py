"""What the embedded database needs: its file private, its connections durable, its writers in line."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

BUSY_SECONDS = 5  # how long a statement waits for another writer
# Waits for its turn at once. A read that turns into a write could not.
BEGIN = "BEGIN IMMEDIATE"


def engine_options() -> dict[str, Any]:
    """What SQLAlchemy's engine is made with. The driver begins no transaction by itself."""
    arguments = {"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": False}
    return {"connect_args": arguments}


def prepare(engine: Engine, instance: Path) -> None:
    """Set what SQLite needs on every connection, and keep its file to its owner."""

    @event.listens_for(engine, "do_connect")
    def create_private(_dialect: Any, _record: Any, arguments: list[str], _keywords: Any) -> None:
        # SQLite gives its -wal and -shm files the mode of the database itself. A file that is there is not opened:
        # to close it once would drop all the locks that this process has on it, and another process would think
        # itself alone.
        file = Path(arguments[0])
        try:
            # No other folder: its name may be misspelt.
            instance.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            with suppress(PermissionError):  # a restored backup has the mode that its copying left
                file.chmod(0o600)
        except OSError as error:
            raise sqlite3.OperationalError(f"{file}: {error.strerror}") from error

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        # Readers and the writer do not wait for each other; what was answered survives a power cut.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "handle_error")
    def judge(context: Any) -> None:
        # A damaged file: the connection would remember its pages when it has long been mended.
        if is_damage(context.original_exception):
            context.is_disconnect = True


def is_damage(error: BaseException | None) -> bool:
    """Whether the file is no database, or damaged: for those sqlite3 raises the bare DatabaseError."""
    return type(error) is sqlite3.DatabaseError
