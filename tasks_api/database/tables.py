"""The tables of TasksDb. They must match the scripts in sql/; a test compares them.

There are no mapped classes: nothing here turns a row into an object, and without the ORM's work a statement takes half
the time.
"""

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Unicode,
    Uuid,
)
from sqlalchemy.dialects.mssql import DATETIME2, SMALLDATETIME
from sqlalchemy.types import TypeDecorator

from ..clock import to_milliseconds, to_smalldatetime

MAX_ID = 2**31 - 1  # the largest int in SQL Server


class UtcDateTime(TypeDecorator[datetime]):
    """datetime2(3): UTC in Python, without offset in the database."""

    impl: Any = DateTime().with_variant(DATETIME2(precision=3), "mssql")
    cache_ok = True
    to_precision = staticmethod(to_milliseconds)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Cut or round the value to the column's precision and drop its offset."""
        return value and self.to_precision(value).astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Add the time zone UTC."""
        return value and value.replace(tzinfo=UTC)


class SmallDateTime(UtcDateTime):
    """smalldatetime: rounded to the minute here, so that all databases store the same."""

    impl = DateTime().with_variant(SMALLDATETIME(), "mssql")
    cache_ok = True
    to_precision = staticmethod(to_smalldatetime)


def _column(name: str, kind: Any, *, nullable: bool = False) -> Column[Any]:
    """Make a column whose name in Python is in snake_case."""
    key = re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return Column(name, kind, key=key, nullable=nullable)


metadata = MetaData()

user_table = Table(
    "User",
    metadata,
    _column("Id", Integer),
    _column("Email", Unicode(50)),
    _column("Password", Unicode(255)),
    _column("PasswordSalt", Unicode(255)),
    _column("FirstName", Unicode(255)),
    _column("LastName", Unicode(255)),
    _column("TS", SmallDateTime),
    _column("Active", Boolean),
    PrimaryKeyConstraint("id", name="PK_User"),
    Index("UX_User_Email", "email", unique=True),
    sqlite_autoincrement=True,
)

task_table = Table(
    "Task",
    metadata,
    _column("Id", Integer),
    _column("UserId", Integer),
    _column("Name", Unicode(100)),
    _column("IsCompleted", Boolean),
    _column("TS", SmallDateTime),
    PrimaryKeyConstraint("id", name="PK_Task"),
    ForeignKeyConstraint(["user_id"], ["User.id"], name="FK_Task_User"),
    Index("IX_Task_UserId_Id", "user_id", "id"),
    sqlite_autoincrement=True,
)

# One row is one session on one device, however often its refresh token rotates. Rows that the .NET original inserts
# have neither StartedAt nor RotatedAt.
session_table = Table(
    "RefreshToken",
    metadata,
    _column("Id", Integer),
    _column("UserId", Integer),
    _column("TokenHash", Unicode(1000)),
    _column("TokenSalt", Unicode(50)),
    _column("TS", SmallDateTime),
    _column("ExpiryDate", SmallDateTime),
    _column("SessionId", Uuid),
    _column("Counter", Integer),
    _column("StartedAt", UtcDateTime, nullable=True),
    _column("RotatedAt", UtcDateTime, nullable=True),
    _column("UserAgent", Unicode(255), nullable=True),
    _column("IpAddress", String(45), nullable=True),
    _column("UsedCounter", Integer),
    _column("FirstVoid", Integer),
    _column("LastVoid", Integer),
    PrimaryKeyConstraint("id", name="PK_RefreshToken"),
    ForeignKeyConstraint(["user_id"], ["User.id"], name="FK_RefreshToken_User"),
    Index("UX_RefreshToken_SessionId", "session_id", unique=True),
    Index("IX_RefreshToken_UserId", "user_id"),
    Index("IX_RefreshToken_ExpiryDate", "expiry_date"),
    sqlite_autoincrement=True,
)

# Their columns: USER.email is the column Email.
USER, TASK, SESSION = user_table.c, task_table.c, session_table.c


def tables_of_user() -> list[tuple[Table, Column[Any]]]:
    """Return each table whose rows belong to a user, with its foreign key column; child tables first."""
    return [
        (table, key.parent)
        for table in reversed(metadata.sorted_tables)
        for key in table.foreign_keys
        if key.column is USER.id
    ]
