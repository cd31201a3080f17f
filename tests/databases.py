"""The databases of a test run: files, or databases on the SQL Server that TASKS_TEST_DATABASE_URL names."""

import os
import re
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tasks_api.database import migrations, sqlserver
from tasks_api.database.tables import metadata

TABLES = [f"[{table.name}]" for table in reversed(metadata.sorted_tables)] + ["SchemaVersion"]


class Databases:
    """The databases of this run on SQL Server. Each one is made when a test first asks for it.

    The address of the server must have a login that may create databases.
    """

    server = os.environ.get("TASKS_TEST_DATABASE_URL", "")
    shared = Path("shared")

    def __init__(self) -> None:
        self.made: dict[Path, str] = {}  # connection strings

    def on(self, name: str) -> str:
        """Return the connection string of a database on the server."""
        return sqlserver.on_database(sqlserver.connection_string(self.server), name)

    def settings(self, instance: Path) -> dict[str, str]:
        """Return the settings that give a service with this instance folder a database."""
        if not self.server:
            return {}
        address = self.made.get(instance) or self.create(instance)
        return {"TASKS_DATABASE_URL": address, "TASKS_UPGRADE_ON_START": "true"}

    def is_imitation(self) -> bool:
        """Tell whether the server is not Microsoft's. An imitation lacks things that we use."""
        with closing(sqlserver.connect(self.on("master"))) as connection:
            return "Microsoft" not in connection.execute("SELECT @@VERSION").fetchval()

    def create(self, instance: Path) -> str:
        address = self.on(f"Tasks'Test {os.getpid()} {len(self.made)}")
        try:
            migrations.create(address)
        except migrations.MigrationError:
            if not self.is_imitation():  # the database exists, without the option
                raise
        self.made[instance] = address
        return address

    def execute(self, instance: Path, *statements: str) -> None:
        with closing(sqlserver.connect(self.made[instance])) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
                while cursor.nextset():  # an error can come in a later result
                    pass

    def drop_all(self) -> None:
        for name in map(sqlserver.database_name, self.made.values()):
            with closing(sqlserver.connect(self.on("master"))) as connection:
                for statement in (  # a test that failed may have left connections open
                    f"ALTER DATABASE [{name}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
                    f"DROP DATABASE [{name}]",
                ):
                    with suppress(Exception):
                        connection.execute(statement)


def batches(script: str) -> list[str]:
    """Return the batches of a script, as sqlcmd sends them."""
    return [batch for batch in re.split("(?m)^GO$", script) if batch.strip()]


databases = Databases()
needs_server = pytest.mark.skipif(
    not databases.server, reason="TASKS_TEST_DATABASE_URL names no SQL Server"
)
embedded_only = pytest.mark.skipif(
    bool(databases.server), reason="about the embedded database, not SQL Server"
)
