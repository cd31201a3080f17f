"""The way to the database: engine, transactions, and which failures mean that it does not answer."""

import os
import sqlite3
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase

from .config import Settings

P = ParamSpec("P")
T = TypeVar("T")

LOCK_SECONDS = 5  # how long a statement waits for somebody else's lock
POOL_SECONDS = 5  # how long a request waits for a connection


class Base(DeclarativeBase):
    """What the models have in common."""


db = SQLAlchemy(model_class=Base, disable_autonaming=True)


def init_database(app: Flask, settings: Settings) -> None:
    """Connect ``app`` to the database of its settings; nothing is opened before the first statement."""
    options: dict[str, Any] = {"pool_size": settings.threads, "max_overflow": 0, "pool_timeout": POOL_SECONDS}
    url = settings.database_url
    if settings.is_sqlite:
        url = url.set(database=str(settings.database_file))
        # isolation_level None: the driver begins nothing by itself, so a read holds no lock and a write
        # begins with BEGIN IMMEDIATE, which waits for its turn. A read that turns into a write could not.
        options["connect_args"] = {"timeout": LOCK_SECONDS, "isolation_level": None, "check_same_thread": False}
    else:
        options["pool_pre_ping"] = True
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    db.init_app(app)
    if settings.is_sqlite:
        with app.app_context():
            prepare_sqlite(db.engine)


def prepare_sqlite(engine: Engine) -> None:
    """Set what SQLite needs on every connection, and keep its file to its owner."""

    @event.listens_for(engine, "do_connect")
    def create_private(_dialect: Any, _record: Any, arguments: list[str], _keywords: Any) -> None:
        # SQLite gives its -wal and -shm files the mode of the database itself.
        try:
            Path(arguments[0]).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(arguments[0], os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise sqlite3.OperationalError(f"{arguments[0]}: {error.strerror}") from error

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
        connection.execute("PRAGMA synchronous = FULL")  # what was answered with success survives a power cut


def transaction(function: Callable[P, T]) -> Callable[P, T]:
    """Make ``function`` one write transaction: committed when it returns, rolled back when it raises."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        begin()
        try:
            result = function(*args, **kwargs)
            db.session.commit()
        except BaseException:
            db.session.rollback()
            raise
        return result

    return wrapper


def begin() -> None:
    """Begin a write in the request's session; earlier reads of the request have ended with their rows."""
    connection = db.session.connection()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def does_not_answer(error: SQLAlchemyError) -> bool:
    """Whether ``error`` says something about the database and not about our statement.

    A table that is missing counts: the schema scripts have not been applied yet.
    """
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    # sqlite3 raises the bare DatabaseError for a file that is no database or is damaged.
    return error.connection_invalidated or type(error.orig) is sqlite3.DatabaseError
