"""Prepared statements that a connection to SQL Server keeps, so that a statement is one round trip.

pyodbc prepares what has parameters (sp_prepexec), and its cursor unprepares that when it closes (sp_unprepare): two
round trips for each statement, of 0.5 to 2 ms each where the server is another machine. A cursor that stays open and
executes the same text again needs one.
"""

from collections import OrderedDict
from typing import Any

from sqlalchemy.dialects.mssql.base import MSExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry

MOST = 50  # kept on a connection; the server has a plan in memory for each


def keep(record: ConnectionPoolEntry) -> None:
    """Have a new connection keep its statements. They are lost with it."""
    record.info["statements"] = OrderedDict()


class KeepingContext(MSExecutionContext):
    """SQLAlchemy's, which takes its cursors from here."""

    def create_cursor(self) -> Any:
        """A cursor whose statement may be prepared already."""
        return KeptCursor(self._dbapi_connection)


class KeptCursor:
    """A cursor of pyodbc's, chosen by the statement that it executes, and kept for that when it is closed.

    Args:
        connection: the pool's, of those that ``keep``.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._kept: OrderedDict[str, Any] = connection.info["statements"]
        self._sizes: Any = None
        self._cursor: Any = None
        self._sql = ""
        self._is_well = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def setinputsizes(self, sizes: Any) -> None:
        """Remember the types of the parameters."""
        self._sizes = sizes

    def execute(self, sql: str, *parameters: Any) -> None:
        """Execute ``sql``, on the cursor that has it prepared if there is one.

        Raises:
            pyodbc.Error: as pyodbc's own.
        """
        # The very text that was prepared: pyodbc compares by identity.
        self._sql, self._cursor = self._kept.pop(sql, (sql, None))
        if self._cursor is None:
            self._cursor = self._connection.cursor()
        if self._sizes is not None:
            self._cursor.setinputsizes(self._sizes)
        self._cursor.execute(self._sql, *parameters)
        self._is_well = True

    def close(self) -> None:
        """Read what nobody has read, and rest; the one that rests longest makes room."""
        cursor, self._cursor = self._cursor, None
        if cursor is None:
            return
        try:
            while self._is_well and cursor.nextset():
                pass
        except Exception:
            self._is_well = False
        if not self._is_well:
            cursor.close()
            return
        self._kept[self._sql] = (self._sql, cursor)
        if len(self._kept) > MOST:
            _, (_, oldest) = self._kept.popitem(last=False)
            oldest.close()
