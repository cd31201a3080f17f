"""What stands in for pyodbc and a server where neither is at hand: says what it was told, keeps what it was sent."""

from typing import Any

Row = tuple[Any, ...]


class Error(Exception):
    """As every exception of pyodbc: SQLSTATE and text."""


MICROSOFT = "[Microsoft][ODBC Driver 18 for SQL Server]"


def failure(text: str, number: int, state: str = "42000") -> Error:
    """An error of the server's own."""
    return Error(state, f"[{state}] {MICROSOFT}[SQL Server]{text} ({number}) (SQLExecDirectW)")


class FakePyodbc:
    """The module, its only connection and the server behind it."""

    paramstyle, version = "qmark", "5.5.0"
    SQL_VARCHAR, SQL_WVARCHAR, SQL_DRIVER_NAME, SQL_DRIVER_VER = 12, -9, 6, 7
    Error = DatabaseError = InterfaceError = OperationalError = ProgrammingError = (
        IntegrityError
    ) = Error

    def __init__(self) -> None:
        self.Cursor = Cursor
        self.installed = ["ODBC Driver 18 for SQL Server"]
        self.pooling = True
        self.connected: list[str] = []  # connection strings
        self.executed: list[str] = []  # statements
        self.sizes: list[Any] = []  # of parameters
        self.answers: dict[str, list[Row]] = {}  # by what the statement contains
        self.failures: dict[str, Exception] = {}  # the same; "" to refuse a connection
        self.late_failures: dict[str, Exception] = {}  # the same, in a later result
        self.autocommit: bool
        self.timeout = 0

    def drivers(self) -> list[str]:
        return self.installed

    def connect(self, text: str, **_options: Any) -> "FakePyodbc":
        self.connected.append(text)
        if "" in self.failures:
            raise self.failures[""]
        return self

    def cursor(self) -> "Cursor":
        return Cursor(self)

    def execute(self, sql: str) -> "Cursor":
        return self.cursor().execute(sql)

    def getinfo(self, kind: int) -> str:
        return {6: "libmsodbcsql-18.so", 7: "18.06.0002"}[kind]

    def add_output_converter(self, *_arguments: Any) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


class Cursor:
    """Knows an answer, or 1."""

    rowcount = 1

    def __init__(self, server: FakePyodbc) -> None:
        self.server = server
        self.sql = ""
        self.rows: list[Row] = []
        self.description: list[Row] | None = None

    def setinputsizes(self, sizes: list[Any]) -> None:
        self.server.sizes.append(sizes)

    def execute(self, sql: str, *_parameters: Any) -> "Cursor":
        self.sql = sql
        self.server.executed.append(sql)
        for part, error in self.server.failures.items():
            if part in sql:
                raise error
        self.rows = next(
            (list(rows) for part, rows in self.server.answers.items() if part in sql), [("1",)]
        )
        columns = len(self.rows[0]) if self.rows else 1
        self.description = [(f"c{n}", str, None, None, None, None, True) for n in range(columns)]
        return self

    def fetchone(self) -> Row | None:
        return self.rows.pop(0) if self.rows else None

    def fetchall(self) -> list[Row]:
        rows, self.rows = self.rows, []
        return rows

    def nextset(self) -> bool:
        for part, error in self.server.late_failures.items():
            if part in self.sql:
                raise error
        return False

    def close(self) -> None: ...
