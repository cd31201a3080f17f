"""The tables of TasksDb. The scripts in sql/ say the same; a test holds them together."""

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Dialect, ForeignKeyConstraint, Index, Integer, PrimaryKeyConstraint, String, Unicode
from sqlalchemy.dialects.mssql import DATETIME2, SMALLDATETIME, UNIQUEIDENTIFIER
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import DateTime, TypeDecorator, TypeEngine

from .clock import to_milliseconds, to_smalldatetime
from .database import db


class UtcDateTime(TypeDecorator[datetime]):
    """datetime2(3): UTC in Python, the same without offset in the database, ISO text in SQLite."""

    impl = DateTime
    cache_ok = True
    server_type: TypeEngine[Any] = DATETIME2(precision=3)
    round = staticmethod(to_milliseconds)
    sqlite_precision = "milliseconds"

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The server's own type, or text."""
        return dialect.type_descriptor(self.server_type if dialect.name == "mssql" else String())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Round, and drop the offset."""
        if value is None:
            return None
        naive = self.round(value).astimezone(UTC).replace(tzinfo=None)
        return naive if dialect.name == "mssql" else naive.isoformat(" ", self.sqlite_precision)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Say that it is UTC."""
        if value is None:
            return None
        naive = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return naive.replace(tzinfo=UTC)


class SmallDateTime(UtcDateTime):
    """smalldatetime: rounded to the minute here, so that every database stores the same."""

    cache_ok = True
    server_type = SMALLDATETIME()
    round = staticmethod(to_smalldatetime)
    sqlite_precision = "seconds"


class Guid(TypeDecorator[uuid.UUID]):
    """uniqueidentifier; its usual text in SQLite."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The server's own type, or text."""
        return dialect.type_descriptor(UNIQUEIDENTIFIER() if dialect.name == "mssql" else String(36))

    def process_bind_param(self, value: uuid.UUID | None, dialect: Dialect) -> Any:
        """Its text, where there is no such type."""
        return value if value is None or dialect.name == "mssql" else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        """Back to a UUID."""
        return value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(value)


class User(db.Model):  # type: ignore[name-defined, misc]
    """Somebody who can log in."""

    __tablename__ = "User"
    __table_args__ = (
        PrimaryKeyConstraint("Id", name="PK_User"),
        Index("UX_User_Email", "Email", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column("Id", Integer)
    email: Mapped[str] = mapped_column("Email", Unicode(50))
    password: Mapped[str] = mapped_column("Password", Unicode(255))
    password_salt: Mapped[str] = mapped_column("PasswordSalt", Unicode(255))
    first_name: Mapped[str] = mapped_column("FirstName", Unicode(255))
    last_name: Mapped[str] = mapped_column("LastName", Unicode(255))
    ts: Mapped[datetime] = mapped_column("TS", SmallDateTime)
    active: Mapped[bool] = mapped_column("Active", Boolean)


class Task(db.Model):  # type: ignore[name-defined, misc]
    """One entry of somebody's list."""

    __tablename__ = "Task"
    __table_args__ = (
        PrimaryKeyConstraint("Id", name="PK_Task"),
        ForeignKeyConstraint(["UserId"], ["User.Id"], name="FK_Task_User"),
        Index("IX_Task_UserId_Id", "UserId", "Id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column("Id", Integer)
    user_id: Mapped[int] = mapped_column("UserId", Integer)
    name: Mapped[str] = mapped_column("Name", Unicode(100))
    is_completed: Mapped[bool] = mapped_column("IsCompleted", Boolean)
    ts: Mapped[datetime] = mapped_column("TS", SmallDateTime)


class RefreshToken(db.Model):  # type: ignore[name-defined, misc]
    """One session on one device, however often its refresh token rotates.

    ``token_hash`` is of the current token only. Rows that the .NET original inserts have neither
    ``started_at`` nor ``rotated_at``.
    """

    __tablename__ = "RefreshToken"
    __table_args__ = (
        PrimaryKeyConstraint("Id", name="PK_RefreshToken"),
        ForeignKeyConstraint(["UserId"], ["User.Id"], name="FK_RefreshToken_User"),
        Index("UX_RefreshToken_SessionId", "SessionId", unique=True),
        Index("IX_RefreshToken_UserId", "UserId"),
        Index("IX_RefreshToken_ExpiryDate", "ExpiryDate"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column("Id", Integer)
    user_id: Mapped[int] = mapped_column("UserId", Integer)
    token_hash: Mapped[str] = mapped_column("TokenHash", Unicode(1000))
    token_salt: Mapped[str] = mapped_column("TokenSalt", Unicode(50))
    ts: Mapped[datetime] = mapped_column("TS", SmallDateTime)
    expiry_date: Mapped[datetime] = mapped_column("ExpiryDate", SmallDateTime)
    session_id: Mapped[uuid.UUID] = mapped_column("SessionId", Guid)
    counter: Mapped[int] = mapped_column("Counter", Integer)
    started_at: Mapped[datetime | None] = mapped_column("StartedAt", UtcDateTime)
    rotated_at: Mapped[datetime | None] = mapped_column("RotatedAt", UtcDateTime)
    user_agent: Mapped[str | None] = mapped_column("UserAgent", Unicode(255))
    ip_address: Mapped[str | None] = mapped_column("IpAddress", String(45))
