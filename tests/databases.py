"""The databases of a test run: files of its own, or databases of its own on the server that is named."""

import os
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tasks_api.database import migrations, sqlserver

TABLES = ("RefreshToken", "Task", "[User]", "SchemaVersion")


class Databases:
    """The databases of this run on SQL Server, each made when it is first asked for.

    TASKS_TEST_DATABASE_URL is the address of a server, with a login that may create databases.
    """

    server = os.environ.get("TASKS_TEST_DATABASE_URL", "")
    shared = Path("shared")

    def __init__(self) -> None:
        self.made: dict[Path, str] = {}  # connection strings

    def on(self, name: str) -> str:
        """The connection string of a database on the server."""
        return sqlserver.on_database(sqlserver.connection_string(self.server), name)

    def settings(self, instance: Path) -> dict[str, str]:
        """The settings with which a service whose instance folder this is has a database of its own."""
        if not self.server:
            return {}
        address = self.made.get(instance) or self.create(instance)
        return {"TASKS_DATABASE_URL": address, "TASKS_UPGRADE_ON_START": "true"}

    def is_imitation(self) -> bool:
        """Whether the server is not Microsoft's, with gaps that are not ours."""
        with closing(sqlserver.connect(self.on("master"))) as connection:
            return "Microsoft" not in connection.execute("SELECT @@VERSION").fetchval()

    def create(self, instance: Path) -> str:
        address = self.on(f"TasksTest_{os.getpid()}_{len(self.made)}")
        migrations.create(address)
        self.made[instance] = address
        return address

    def execute(self, instance: Path, *statements: str) -> None:
        with closing(sqlserver.connect(self.made[instance])) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
                while cursor.nextset():  # an error can come in a later result
                    pass

    def drop_all(self) -> None:
        for address in self.made.values():
            name = sqlserver.database_name(address)
            with closing(sqlserver.connect(self.on("master"))) as connection:
                with suppress(Exception):  # a test that failed may have left connections open
                    connection.execute(
                        f"ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE"
                    )
                with suppress(Exception):
                    connection.execute(f"DROP DATABASE {name}")


databases = Databases()
needs_server = pytest.mark.skipif(
    not databases.server, reason="TASKS_TEST_DATABASE_URL names no SQL Server"
)
embedded_only = pytest.mark.skipif(
    bool(databases.server), reason="about the embedded database, not SQL Server"
)
