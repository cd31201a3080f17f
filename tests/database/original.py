"""The .NET original on the same database: its hashes, and the SQL that Entity Framework sends."""

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import pbkdf2_hmac
from typing import Any

from tests.live import PASSWORD

NOON = "2026-01-01T12:00:00"
SALT = b64encode(b"s" * 32).decode()


class Original:
    """What the original does to the rows of one user at a time."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def rows(self, sql: str, *values: Any) -> list[Any]:
        return list(self.connection.execute(sql, *values).fetchall())

    @staticmethod
    def hash(secret: str, salt: str) -> str:
        key = pbkdf2_hmac("sha256", secret.encode(), b64decode(salt), 100_000, 32)
        return b64encode(key).decode()

    def sign_up(self, email: str) -> None:
        self.rows(
            "SET NOCOUNT ON;\nINSERT INTO [User] ([Active], [Email], [FirstName], [LastName], [Password],"
            " [PasswordSalt], [TS])\nOUTPUT INSERTED.[Id]\nVALUES (?, ?, ?, ?, ?, ?, ?);",
            *(True, email, "Olle", "Original", self.hash(PASSWORD, SALT), SALT, NOON),
        )

    def log_in(self, email: str, token: str) -> bool:
        users = self.rows(
            "SELECT TOP(2) [u].[Id], [u].[Active], [u].[Email], [u].[FirstName], [u].[LastName], [u].[Password],"
            " [u].[PasswordSalt], [u].[TS]\nFROM [User] AS [u]\nWHERE [u].[Active] = CAST(1 AS bit)"
            " AND [u].[Email] = ?",
            email,
        )
        if len(users) != 1 or users[0].Password != self.hash(PASSWORD, users[0].PasswordSalt):
            return False
        self.log_out(users[0].Id)
        moment = _now()
        self.rows(
            "SET NOCOUNT ON;\nINSERT INTO [RefreshToken] ([ExpiryDate], [TokenHash], [TokenSalt], [TS], [UserId])\n"
            "OUTPUT INSERTED.[Id]\nVALUES (?, ?, ?, ?, ?);",
            *(moment + timedelta(days=14), self.hash(token, SALT), SALT, moment, users[0].Id),
        )
        return True

    def first_token(self, user_id: int) -> Any:
        found = self.rows(
            "SELECT TOP(1) [r].[Id], [r].[ExpiryDate], [r].[TokenHash], [r].[TokenSalt], [r].[TS], [r].[UserId]\n"
            "FROM [RefreshToken] AS [r]\nWHERE [r].[UserId] = ?",
            user_id,
        )
        return found[0] if found else None

    def accepts(self, user_id: int, token: str) -> bool:
        row = self.first_token(user_id)
        is_known = row and row.TokenHash == self.hash(token, row.TokenSalt)
        return bool(is_known and row.ExpiryDate > _now())

    def log_out(self, user_id: int) -> None:
        if row := self.first_token(user_id):
            self.rows(
                "SET NOCOUNT ON;\nDELETE FROM [RefreshToken]\nWHERE [Id] = ?;\nSELECT @@ROWCOUNT;",
                row.Id,
            )

    def tasks(self, user_id: int) -> list[str]:
        columns = "[t].[Id], [t].[IsCompleted], [t].[Name], [t].[TS], [t].[UserId]"
        found = self.rows(
            f"SELECT {columns}\nFROM [Task] AS [t]\nWHERE [t].[UserId] = ?", user_id
        )
        return [row.Name for row in found]

    def add_task(self, user_id: int, name: str) -> None:
        self.rows(
            "SET NOCOUNT ON;\nINSERT INTO [Task] ([IsCompleted], [Name], [TS], [UserId])\nVALUES (?, ?, ?, ?);\n"
            "SELECT [Id]\nFROM [Task]\nWHERE @@ROWCOUNT = 1 AND [Id] = scope_identity();",
            *(False, name, NOON, user_id),
        )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
