"""The floor on SQL Server: the service's statements, and nothing around them."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import pbkdf2_hmac
from typing import Any

from tasks_api.config.database_url import Keywords
from tasks_api.database import sqlserver
from tests.live import PASSWORD


class Loop:
    """Sends them on one pyodbc connection, each on a cursor of its own.

    Args:
        way: to the server.
        statements: of each route, as the service was seen to send them.
        email: of a user who is there.
    """

    def __init__(self, way: Keywords, statements: dict[str, list[str]], email: str) -> None:
        self.connection = sqlserver.connect(way)
        self.cursors: dict[str, Any] = {}
        self.statements, self.email = statements, email
        self.user, self.password, self.salt = self.connection.execute(
            "SELECT Id, Password, PasswordSalt FROM [User] WHERE Email = ?", email
        ).fetchone()
        self.sessions: list[uuid.UUID] = []
        self.hash = "h" * 44
        self.login()

    def run(self, steps: Iterable[tuple[str, tuple[Any, ...]]]) -> None:
        for sql, parameters in steps:
            if sql not in self.cursors:
                self.cursors[sql] = self.connection.cursor()
            cursor = self.cursors[sql].execute(sql, parameters)
            if cursor.description:
                cursor.fetchall()

    def moments(self) -> tuple[datetime, datetime]:
        now = datetime.now(UTC).replace(tzinfo=None)
        return now, now + timedelta(days=14)

    def caller(self) -> tuple[Any, ...]:
        return self.sessions[-1], self.user, self.moments()[0]

    def list(self) -> None:
        self.run(zip(self.statements["list"], (self.caller(), (self.user, 0)), strict=True))

    def add(self) -> None:
        parameters = (self.caller(), (self.user, "a task", 0, self.moments()[0]))
        self.run(zip(self.statements["add"], parameters, strict=True))

    def refresh(self) -> None:
        session, (now, later) = self.sessions[-1], self.moments()
        after = (
            self.hash,
            later,
            self.counter + 1,
            now,
            "agent",
            "::1",
            0,
            self.counter + 1,
            session,
            self.counter,
            self.hash,
            2**31 - 1,
        )
        self.run(zip(self.statements["refresh"], ((session,), after), strict=True))
        self.counter += 1

    def login(self) -> None:
        pbkdf2_hmac("sha256", PASSWORD.encode(), self.salt.encode(), 100_000, 32)
        now, later = self.moments()
        self.sessions.append(uuid.uuid4())
        session = (
            self.user,
            self.hash,
            "s" * 44,
            now,
            later,
            self.sessions[-1],
            0,
            now,
            "agent",
            "::1",
        )
        parameters = (
            (self.email,),
            (),  # BEGIN
            (self.password, self.salt, self.user, self.password),
            (self.user,),
            (self.sessions[-21:][0],),
            session,
            (),  # COMMIT
            (now - timedelta(minutes=1),),
        )
        self.run(zip(self.statements["login"], parameters, strict=True))
        self.counter = 0
