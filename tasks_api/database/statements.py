"""An SQLAlchemy dialect whose connections keep their prepared statements, so that a statement is one round trip.

pyodbc prepares a statement with parameters (sp_prepexec), and unprepares it when the cursor closes (sp_unprepare). That
makes two round trips, each 0.5 to 2 ms when the server is another machine. A cursor that stays open and executes the
same text again needs one; a test counts them.
"""

from collections import OrderedDict
from typing import Any

from sqlalchemy.dialects.mssql.base import MSExecutionContext
from sqlalchemy.dialects.mssql.pyodbc import MSDialect_pyodbc

from .sqlserver import LOCK_TIMEOUT, MOVED_AWAY, error_numbers

MAX_KEPT = 50  # statements that a connection keeps; the server has a plan in memory for each


class KeptCursor:
    """A pyodbc cursor that is reused for the same SQL text. Closing puts it back into the connection's cache.

    Args:
        connection: from SQLAlchemy's pool.
        info: lives as long as the database connection and keeps its cursors.
    """

    def __init__(self, connection: Any, info: dict[Any, Any]) -> None:
        self._connection = connection
        self._kept: OrderedDict[str, Any] = info.setdefault("statements", OrderedDict())
        self._sizes: Any = None
        self._cursor: Any = None
        self._sql = ""
        self._can_be_kept = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def setinputsizes(self, sizes: Any) -> None:
        """Remember the types of the parameters."""
        self._sizes = sizes

    def execute(self, sql: str, *parameters: Any) -> None:
        """Execute ``sql`` on the cursor that has prepared it, or on a new one.

        Raises:
            pyodbc.Error: as pyodbc's cursor does.
        """
        self._sql = sql
        self._cursor = self._kept.pop(sql, None) or self._connection.cursor()
        if self._sizes is not None:
            self._cursor.setinputsizes(self._sizes)
        self._cursor.execute(sql, *parameters)
        self._can_be_kept = True

    def close(self) -> None:
        """Read the remaining results and keep the cursor. Evict the least recently used one."""
        cursor, self._cursor = self._cursor, None
        if cursor is None:
            return
        try:
            while self._can_be_kept and cursor.nextset():
                pass
        except Exception:
            self._can_be_kept = False
        if not self._can_be_kept:
            cursor.close()
            return
        self._kept[self._sql] = cursor
        if len(self._kept) > MAX_KEPT:
            _, oldest = self._kept.popitem(last=False)
            oldest.close()


class _ExecutionContext(MSExecutionContext):
    def create_cursor(self) -> Any:
        connection = self.root_connection.connection
        try:
            return KeptCursor(connection, connection.info)
        except NotImplementedError:  # during dialect.initialize() the connection has no info
            return super().create_cursor()


class Dialect(MSDialect_pyodbc):
    """SQLAlchemy's dialect for pyodbc, with kept cursors."""

    supports_statement_cache = True
    execution_ctx_cls = _ExecutionContext

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Return True if the connection is broken or leads to the wrong server.

        A lock timeout has the SQLSTATE of a broken connection, but is none.
        """
        is_broken: bool = super().is_disconnect(e, connection, cursor)  # type: ignore[no-untyped-call]
        numbers = error_numbers(e)
        return bool(numbers & MOVED_AWAY) or (is_broken and LOCK_TIMEOUT not in numbers)
