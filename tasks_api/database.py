"""The way to the database: engine, transactions, what is repeated, and which failures mean that it does not answer.

A statement is a transaction of its own: on both databases the driver commits it. ``@transaction`` makes one of
several. What fails for a reason that may be gone by now is repeated here and nowhere else, and only where nothing
can have been committed.
"""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from flask import Flask, current_app, g
from flask_sqlalchemy import SQLAlchemy
from prometheus_client import Gauge
from sqlalchemy import Connection, CursorResult, Executable, Insert, Row, Table, event, insert
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.types import String

from . import sqlserver
from .config import ConfigError, Settings

P = ParamSpec("P")
T = TypeVar("T")
AnyRow = Row[*tuple[Any, ...]]
Parameters = Mapping[str, Any] | None  # the values of a statement's bindparams

LOCK_SECONDS = 5  # how long a statement waits for somebody else's lock
POOL_SECONDS = 5  # how long a request waits for a connection
PAUSES = (0.05, 0.2)  # seconds, at most, before each repetition
REPEAT_SECONDS = 2  # no repetition begins later: a request that has waited so long had better be told

CONNECTIONS = Gauge("tasks_database_connections_in_use", "Database connections in use", multiprocess_mode="livesum")

db = SQLAlchemy()


def init_database(app: Flask, values: Settings) -> None:
    """Connect ``app`` to the database of its settings; nothing is opened before the first statement.

    Raises:
        ConfigError: the address is of SQL Server and pyodbc cannot be loaded.
    """
    options: dict[str, Any] = {
        "pool_size": values.threads,
        "max_overflow": 0,
        "pool_timeout": POOL_SECONDS,
        "hide_parameters": True,  # they hold hashes and emails, and errors are logged
    }
    url = values.database_url
    if values.is_sqlite:
        url = url.set(database=str(values.database_file))
        # isolation_level None: the driver begins nothing by itself, so that a transaction of several statements
        # can begin with BEGIN IMMEDIATE, which waits for its turn. A read that turns into a write could not.
        options["connect_args"] = {"timeout": LOCK_SECONDS, "isolation_level": None, "check_same_thread": False}
    else:
        # SQLAlchemy's own URL stays empty: it need not know how the driver spells it, nor the password.
        options |= {
            "creator": sqlserver.Connector(url),
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,  # a round trip for every read, and nothing to roll back
        }
        url = URL.create("mssql+pyodbc")
    app.extensions["writers"] = threading.RLock() if values.is_sqlite else None
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    try:
        db.init_app(app)
    except ImportError as error:
        advice = "install it (Debian, Ubuntu: apt-get install unixodbc; macOS: brew install unixodbc)"
        raise ConfigError(f"TASKS_DATABASE_URL is of SQL Server, which needs unixODBC: {error}; {advice}") from None
    app.teardown_appcontext(_release)
    with app.app_context():
        if values.is_sqlite:
            _prepare_sqlite(db.engine, values.instance_path)
        else:
            _prepare_sqlserver(db.engine)


def _prepare_sqlite(engine: Engine, instance: Path) -> None:
    """Set what SQLite needs on every connection, and keep its file to its owner."""

    @event.listens_for(engine, "do_connect")
    def create_private(_dialect: Any, _record: Any, arguments: list[str], _keywords: Any) -> None:
        # SQLite gives its -wal and -shm files the mode of the database itself. A file that is there is not touched:
        # to close it once would drop all the locks that this process has on it, and another process would think
        # itself alone.
        try:
            instance.mkdir(mode=0o700, parents=True, exist_ok=True)  # no other folder: its name may be misspelt
            with suppress(FileExistsError):
                os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            with suppress(PermissionError):  # a restored backup has the mode that its copying left
                Path(arguments[0]).chmod(0o600)
        except OSError as error:
            raise sqlite3.OperationalError(f"{arguments[0]}: {error.strerror}") from error

    @event.listens_for(engine, "do_execute")
    def write_in_turn(cursor: sqlite3.Cursor, statement: str, parameters: Any, _context: Any) -> bool:
        if statement.startswith(("SELECT", "PRAGMA")):
            return False
        with _turn():
            cursor.execute(statement, parameters)
        return True

    @event.listens_for(engine, "handle_error")
    def judge(context: Any) -> None:
        if _is_damage(context.original_exception):  # it would remember the pages when the file has long been mended
            context.is_disconnect = True

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
        connection.execute("PRAGMA synchronous = FULL")  # what was answered with success survives a power cut


def _prepare_sqlserver(engine: Engine) -> None:
    """Give text parameters the length of their column, and tell broken connections from the rest."""

    @event.listens_for(engine, "do_setinputsizes")
    def set_lengths(sizes: dict[Any, Any], *_args: Any) -> None:
        # pyodbc would declare each text as long as it happens to be: another plan in the server for every length.
        for bind, kind in sizes.items():
            if isinstance(bind.type, String) and bind.type.length and not isinstance(kind, tuple):
                sizes[bind] = (kind, bind.type.length, 0)

    @event.listens_for(engine, "handle_error")
    def judge(context: Any) -> None:
        if sqlserver.LOCK_TIMEOUT in sqlserver.error_numbers(context.original_exception):
            context.is_disconnect = False  # its SQLSTATE is that of a server which does not answer
        elif sqlserver.is_broken(context.original_exception):
            context.is_disconnect = True


def fetch_one(statement: Executable, parameters: Parameters = None) -> AnyRow | None:
    """The first row that ``statement`` gives, if there is one."""
    return _execute(statement, parameters, CursorResult.first)


def fetch_all(statement: Executable, parameters: Parameters = None) -> Sequence[AnyRow]:
    """All rows that ``statement`` gives."""
    return _execute(statement, parameters, CursorResult.all)


def execute(statement: Executable, parameters: Parameters = None) -> int:
    """Execute ``statement`` and return how many rows it changed."""
    return _execute(statement, parameters, lambda result: result.rowcount)


def insert_row(table: Table, values: Mapping[str, Any]) -> int:
    """Insert a row and return its new id."""
    return int(_execute(_insert(table), values, lambda result: cast(Any, result.inserted_primary_key)[0]))


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


def _execute(statement: Executable, parameters: Parameters, take: Callable[[CursorResult[Any]], T]) -> T:
    def run() -> T:
        # With its rows: that it is a deadlock's victim the server may say as late as with one of them.
        return take(_connection().execute(statement, parameters))

    return run() if "transaction" in g else repeated(run, may_have_happened=not statement.is_select)


def _connection() -> Connection:
    # One for the whole request, from its first statement on. Not flask-sqlalchemy's session, which is for mapped
    # classes: it costs as much as a statement.
    found: Connection | None = g.get("connection")
    if found is None:
        found = g.connection = db.engine.connect()
        CONNECTIONS.inc()
    return found


def _release(_error: BaseException | None = None) -> None:
    found = g.pop("connection", None)
    if found is not None:
        CONNECTIONS.dec()
        found.close()


def transaction(function: Callable[P, T]) -> Callable[P, T]:
    """Make ``function`` one write transaction: committed when it returns, rolled back when it raises.

    ``function`` may run more than once, so it changes nothing but the database.
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        def attempt() -> T:
            _say("BEGIN IMMEDIATE" if db.engine.dialect.name == "sqlite" else "BEGIN TRANSACTION")
            return function(*args, **kwargs)

        if "transaction" in g:
            raise RuntimeError("a transaction inside of a transaction")
        g.transaction = True
        try:
            with _turn():
                result = repeated(attempt, may_have_happened=False)
                _say("COMMIT")  # not repeated: when its answer is lost, nobody knows what happened
        except BaseException:
            _abandon()
            raise
        finally:
            del g.transaction
        return result

    return wrapper


@contextmanager
def _turn() -> Iterator[None]:
    """Let one thread of this process at a time write to the embedded database.

    SQLite's own waiting is sleeping and trying again, longer each time: with eight writers one write in a hundred
    takes 90 ms, with this 30 ms. Between processes it is still SQLite's.

    Raises:
        sqlalchemy.exc.TimeoutError: others have written for too long.
    """
    writers = current_app.extensions["writers"]
    if writers is None:
        yield
        return
    if not writers.acquire(timeout=LOCK_SECONDS):
        raise PoolTimeoutError("the database is locked")
    try:
        yield
    finally:
        writers.release()


def _say(statement: str) -> None:
    # In so many words, for the drivers are in autocommit mode. Leaving it for a while instead costs Microsoft's
    # driver a round trip each way, outside of what SQLAlchemy guards: a line that breaks then loses its place in
    # the pool.
    _connection().exec_driver_sql(statement)


def repeated(action: Callable[[], T], *, may_have_happened: bool) -> T:
    """Do ``action``, and again when it failed for a passing reason.

    Args:
        action: what to do, on the request's connection.
        may_have_happened: whether a connection that broke leaves it open if ``action`` was committed.
    """
    deadline = time.monotonic() + REPEAT_SECONDS
    pauses = iter(PAUSES)
    while True:
        try:
            return action()
        except DBAPIError as error:
            _abandon()
            lost = error.connection_invalidated and not _timed_out(error)
            rolled_back = sqlserver.DEADLOCK_VICTIM in sqlserver.error_numbers(error.orig)
            pause = next(pauses, None)
            if not (rolled_back or (lost and not may_have_happened)) or pause is None or time.monotonic() > deadline:
                raise
        time.sleep(pause * random.random())  # noqa: S311


def _abandon() -> None:
    # Which state a transaction that failed has left its connection in, server and driver need not agree upon.
    if "transaction" in g and "connection" in g:
        g.connection.invalidate()
    _release()


def _timed_out(error: DBAPIError) -> bool:
    return isinstance(error.orig, Exception) and error.orig.args[:1] in (("HYT00",), ("HYT01",))


def does_not_answer(error: SQLAlchemyError) -> bool:
    """Whether ``error`` says something about the database and not about our statement."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or _is_damage(error.orig) or sqlserver.is_operators(error.orig)


def _is_damage(error: BaseException | None) -> bool:
    # sqlite3 raises the bare DatabaseError for a file that is no database or is damaged.
    return type(error) is sqlite3.DatabaseError
