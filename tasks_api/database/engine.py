"""Engine, transactions, what is repeated, and which failures mean that the database does not answer.

A statement is a transaction of its own: on both databases the driver commits it. ``@transaction`` makes one of
several. What fails for a reason that may be gone by now is repeated here and nowhere else, and only where nothing
can have been committed.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

from flask import Flask, g
from flask_sqlalchemy import SQLAlchemy
from prometheus_client import Gauge
from sqlalchemy import Connection, CursorResult, Executable, Insert, Row, Table, insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ..config import ConfigError, Settings
from ..models import metadata
from . import sqlite, sqlserver

P = ParamSpec("P")
T = TypeVar("T")
AnyRow = Row[*tuple[Any, ...]]
Parameters = Mapping[str, Any] | None  # the values of a statement's bindparams

POOL_SECONDS = 5  # how long a request waits for a connection
PAUSES = (0.05, 0.2)  # seconds, at most, before each repetition
# No repetition begins later: a request that has waited so long had better be told.
REPEAT_SECONDS = 2

CONNECTIONS = Gauge(
    "tasks_database_connections_in_use",
    "Database connections in use",
    multiprocess_mode="livesum",
)

db = SQLAlchemy(metadata=metadata)


def init_database(app: Flask, settings: Settings) -> None:
    """Connect ``app`` to the database of its settings; nothing is opened before the first statement.

    Raises:
        ConfigError: the address is of SQL Server and pyodbc cannot be loaded.
    """
    if settings.database_file:
        url = URL.create("sqlite", database=str(settings.database_file))
        options = sqlite.engine_options()
    else:
        # SQLAlchemy need not know the address, nor the password.
        url = URL.create("mssql+pyodbc")
        options = sqlserver.engine_options(settings.sqlserver)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options | {
        "pool_size": settings.threads,
        "max_overflow": 0,
        "pool_timeout": POOL_SECONDS,
        "hide_parameters": True,  # they hold hashes and emails, and errors are logged
    }
    try:
        db.init_app(app)
    except ImportError as error:
        advice = (
            "install it (Debian, Ubuntu: apt-get install unixodbc; macOS: brew install unixodbc)"
        )
        reason = f"is of SQL Server, which needs unixODBC: {error}; {advice}"
        raise ConfigError(f"TASKS_DATABASE_URL {reason}") from None
    app.teardown_appcontext(_release)
    with app.app_context():
        if settings.database_file:
            sqlite.prepare(db.engine, settings.instance_path)
        else:
            sqlserver.prepare(db.engine)


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
    return int(
        _execute(_insert(table), values, lambda result: cast(Any, result.inserted_primary_key)[0])
    )


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


def _execute(
    statement: Executable, parameters: Parameters, take: Callable[[CursorResult[Any]], T]
) -> T:
    def run() -> T:
        # With its rows: that it is a deadlock's victim the server may say as late as with one of them.
        return take(_connection().execute(statement, parameters))

    if "transaction" in g:
        return run()
    return repeated(run, may_have_happened=not statement.is_select)


def _connection() -> Connection:
    # One for the whole request, from its first statement on. Not flask-sqlalchemy's session, which is for mapped
    # classes: it costs as much as a statement.
    if "connection" not in g:
        g.connection = db.engine.connect()
        CONNECTIONS.inc()
    return cast(Connection, g.connection)


def _release(_error: BaseException | None = None) -> None:
    connection = g.pop("connection", None)
    if connection is not None:
        CONNECTIONS.dec()
        connection.close()


def transaction(function: Callable[P, T]) -> Callable[P, T]:
    """Make ``function`` one write transaction: committed when it returns, rolled back when it raises.

    ``function`` may run more than once, so it changes nothing but the database.
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        # In so many words, for the drivers are in autocommit mode. Leaving it for a while instead costs Microsoft's
        # driver a round trip each way, outside of what SQLAlchemy guards: a line that breaks then loses its place
        # in the pool.
        begin = sqlite.BEGIN if db.engine.dialect.name == "sqlite" else "BEGIN TRANSACTION"

        def attempt() -> T:
            _connection().exec_driver_sql(begin)
            return function(*args, **kwargs)

        if "transaction" in g:
            raise RuntimeError("a transaction inside of a transaction")
        g.transaction = True
        try:
            result = repeated(attempt, may_have_happened=False)
            # Not repeated: when its answer is lost, nobody knows what happened.
            _connection().exec_driver_sql("COMMIT")
        except BaseException:
            _abandon()
            raise
        finally:
            del g.transaction
        return result

    return wrapper


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
            pause = next(pauses, None)
            if pause is None or time.monotonic() > deadline:
                raise
            lost = error.connection_invalidated and not sqlserver.has_timed_out(error.orig)
            rolled_back = sqlserver.is_deadlock_victim(error.orig)
            if not rolled_back and (may_have_happened or not lost):
                raise
        time.sleep(pause * random.random())  # noqa: S311


def _abandon() -> None:
    # Which state a transaction that failed has left its connection in, server and driver need not agree upon.
    if "transaction" in g and "connection" in g:
        g.connection.invalidate()
    _release()


def does_not_answer(error: SQLAlchemyError) -> bool:
    """Whether ``error`` says something about the database and not about our statement."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    return (
        error.statement is None  # it was not even asked: there is no way in
        or error.connection_invalidated
        or sqlite.is_damage(error.orig)
        or sqlserver.is_operators(error.orig)
    )
