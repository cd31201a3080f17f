"""The databases of a test run: files of its own, or databases of its own on the server that is named."""

import os
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from tasks_api.config.database_url import read_database_url
from tasks_api.database import migrations, sqlserver

TABLES = ("RefreshToken", "Task", "[User]", "SchemaVersion")


class Databases:
    """The databases of this run on SQL Server, each made when it is first asked for.

    TASKS_TEST_DATABASE_URL is the address of a server, with a login that may create databases.
    """

    server = os.environ.get("TASKS_TEST_DATABASE_URL", "")
    shared = Path("shared")

    def __init__(self) -> None:
        self.urls: dict[Path, URL] = {}

    def settings(self, instance: Path) -> dict[str, str]:
        """The settings with which a service whose instance folder this is has a database of its own."""
        if not self.server:
            return {}
        url = self.urls.get(instance) or self.create(instance)
        return {
            "TASKS_DATABASE_URL": url.render_as_string(hide_password=False),
            "TASKS_UPGRADE_ON_START": "true",
        }

    def create(self, instance: Path) -> URL:
        url = read_database_url(self.server).set(
            database=f"TasksTest_{os.getpid()}_{len(self.urls)}"
        )
        self.urls[instance] = url
        migrations.create(url)
        return url

    def execute(self, instance: Path, *statements: str) -> None:
        with closing(sqlserver.connect(self.urls[instance])) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
                while cursor.nextset():  # an error can come in a later result
                    pass

    def drop_all(self) -> None:
        for url in self.urls.values():
            with (
                closing(sqlserver.connect(url.set(database="master"))) as connection,
                suppress(Exception),
            ):
                with suppress(Exception):  # a test that failed may have left connections open
                    connection.execute(
                        f"ALTER DATABASE {url.database} SET SINGLE_USER WITH ROLLBACK IMMEDIATE"
                    )
                connection.execute(f"DROP DATABASE {url.database}")


databases = Databases()
needs_server = pytest.mark.skipif(
    not databases.server, reason="TASKS_TEST_DATABASE_URL names no SQL Server"
)
embedded_only = pytest.mark.skipif(
    bool(databases.server), reason="about the embedded database, not SQL Server"
)
