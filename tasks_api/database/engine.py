"""The engine, statements and transactions.

Outside of ``@transaction`` each statement is a transaction of its own: both drivers are in autocommit mode. A request
has one connection, from its first statement to its end.
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
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ..config import ConfigError, Settings
from . import sqlite, sqlserver
from .tables import metadata

P = ParamSpec("P")
T = TypeVar("T")
AnyRow = Row[*tuple[Any, ...]]
Parameters = Mapping[str, Any] | None  # the values of a statement's bindparams

POOL_SECONDS = 5  # how long a request waits for a connection
RETRY_PAUSES = (0.05, 0.2)  # the longest pause before each retry, in seconds
RETRY_SECONDS = 2  # no retry after a lost connection begins later than this

CONNECTIONS = Gauge(
    "tasks_database_connections_in_use",
    "Database connections in use",
    multiprocess_mode="livesum",
)

db = SQLAlchemy(metadata=metadata)


def init_database(app: Flask, settings: Settings) -> None:
    """Connect ``app`` to its database. The first statement opens the first connection.

    Raises:
        ConfigError: pyodbc cannot be loaded, which SQL Server needs.
    """
    try:
        if settings.database_file:
            url, options = sqlite.engine_arguments(settings.database_file)
        else:
            url, options = sqlserver.engine_arguments(settings.database_url)
        app.config["SQLALCHEMY_DATABASE_URI"] = url
        app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options | {
            "pool_size": settings.threads,
            "max_overflow": 0,
            "pool_timeout": POOL_SECONDS,
            "hide_parameters": True,  # they contain hashes and emails, and errors are logged
        }
        db.init_app(app)
    except ImportError as error:
        reason = (
            f"{error} (Debian, Ubuntu: apt-get install unixodbc; macOS: brew install unixodbc)"
        )
        raise ConfigError(
            f"TASKS_DATABASE_URL: SQL Server needs pyodbc and unixODBC: {reason}"
        ) from None
    app.teardown_appcontext(_release_connection)
    with app.app_context():
        _backend().listen(db.engine)


def _backend() -> Any:
    return sqlite if db.engine.dialect.name == "sqlite" else sqlserver


def fetch_one(statement: Executable, parameters: Parameters = None) -> AnyRow | None:
    """Return the first row of ``statement``, if there is one."""
    # Read all rows: SQL Server can report an error after the first one.
    rows = fetch_all(statement, parameters)
    return rows[0] if rows else None


def fetch_all(statement: Executable, parameters: Parameters = None) -> Sequence[AnyRow]:
    """Return all rows of ``statement``."""
    return _run(statement, parameters, CursorResult.all)


def execute(statement: Executable, parameters: Parameters = None) -> int:
    """Execute ``statement`` and return the number of rows that it changed."""
    return _run(statement, parameters, lambda result: result.rowcount)


def execute_without_waiting(statement: Executable, parameters: Parameters = None) -> int:
    """Do the same as ``execute``, but fail at once if the row is locked.

    On SQL Server the statement must have the hint NOWAIT.

    Raises:
        SQLAlchemyError: the row is locked, or the statement failed.
    """
    connection = _connection()
    try:
        with _backend().without_waiting(connection):
            return connection.execute(statement, parameters).rowcount
    except DBAPIError as error:
        if error.connection_invalidated:
            _release_connection()
        raise


def insert_row(table: Table, values: Mapping[str, Any]) -> int:
    """Insert a row and return its id."""
    return int(
        _run(_insert(table), values, lambda result: cast(Any, result.inserted_primary_key)[0])
    )


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


def _run(
    statement: Executable, parameters: Parameters, read: Callable[[CursorResult[Any]], T]
) -> T:
    def run_once() -> T:
        # Fetch the rows here too: SQL Server may report a deadlock only while they are read.
        return read(_connection().execute(statement, parameters))

    if "transaction" in g:
        return run_once()
    return retried(run_once, is_repeatable=statement.is_select)


def _connection() -> Connection:
    # Not flask-sqlalchemy's session, which is for mapped classes and takes as long as a statement.
    if "connection" not in g:
        g.connection = db.engine.connect()
        CONNECTIONS.inc()
    return cast(Connection, g.connection)


def _release_connection(_error: BaseException | None = None) -> None:
    connection = g.pop("connection", None)
    if connection is not None:
        CONNECTIONS.dec()
        connection.close()


def transaction(function: Callable[P, T]) -> Callable[P, T]:
    """Run ``function`` in one write transaction: commit when it returns, roll back when it raises.

    ``function`` runs again after a deadlock or a lost connection, so it must change nothing but the database.
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        def run_once() -> T:
            # Send BEGIN ourselves: switching pyodbc's autocommit off and on would cost two round trips.
            _connection().exec_driver_sql(_backend().BEGIN)
            try:
                return function(*args, **kwargs)
            except BaseException:
                _roll_back()
                raise

        if "transaction" in g:
            raise RuntimeError("a transaction inside a transaction")
        g.transaction = True
        try:
            result = retried(run_once, is_repeatable=True)
            try:
                # Do not retry COMMIT: it may have succeeded.
                _connection().exec_driver_sql("COMMIT")
            except SQLAlchemyError:
                _roll_back()
                _release_connection()
                raise
        finally:
            del g.transaction
        return result

    return wrapper


def _roll_back() -> None:
    connection = _connection()
    try:
        connection.exec_driver_sql(_backend().ROLLBACK)
    except SQLAlchemyError:
        # The connection is broken, and its transaction ends with it.
        connection.invalidate()


def retried(action: Callable[[], T], *, is_repeatable: bool) -> T:
    """Run ``action``, and again if it was the victim of a deadlock or lost its connection.

    Args:
        action: what to do.
        is_repeatable: whether it is safe to run ``action`` again after a lost connection: it has committed nothing.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    for pause in (*RETRY_PAUSES, None):
        try:
            return action()
        except DBAPIError as error:
            _release_connection()
            is_in_time = time.monotonic() < deadline
            is_lost = is_repeatable and error.connection_invalidated and is_in_time
            if pause is None or not (is_lost or sqlserver.is_deadlock_victim(error)):
                raise
        time.sleep(pause * random.random())  # noqa: S311
    raise AssertionError("not reached")


def is_unavailable(error: SQLAlchemyError) -> bool:
    """Return True if the database cannot work now, so that the same request can succeed later."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    # ``statement`` is None if connecting failed.
    is_lost = error.statement is None or error.connection_invalidated
    return is_lost or bool(_backend().is_transient(error))
