"""flask db ...: the operator's commands for the database."""

import sqlite3
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..config import current_settings
from ..errors import ApiError
from . import migrations, sqlserver
from .engine import db, fetch_one, is_unavailable
from .tables import USER

Callback = Callable[..., None]

DEMO_EMAIL = "anna@example.com"  # as in sql/*/seed.sql
DEMO_PASSWORD = "Tasks-demo-2026"
WAIT_SECONDS = 40  # how long a command retries after transient errors

_ABOUT_SERVER = """
SELECT
    CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS Version,
    CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS Edition,
    DB_NAME() AS Name,
    SUSER_SNAME() AS Login,
    (SELECT is_read_committed_snapshot_on FROM sys.databases WHERE name = DB_NAME()) AS HasSnapshot
"""


class Commands(AppGroup):
    """Commands that retry after transient errors of SQL Server, and that report a failure in one line."""

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """Register a command, as in ``AppGroup``."""
        register = super().command(*args, **kwargs)
        return lambda callback: register(_patient(callback))


def _patient(callback: Callback) -> Callback:
    @wraps(callback)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return callback(*args, **kwargs)
            except ApiError as error:
                raise click.ClickException(error.detail) from None
            except UnicodeError:
                raise click.ClickException("The argument is not text in UTF-8.") from None
            except SQLAlchemyError as error:
                is_transient = isinstance(error, DBAPIError) and sqlserver.is_transient(error)
                if not is_transient or time.monotonic() > deadline:
                    raise click.ClickException(_explain(error)) from None
            click.echo("The database does not answer yet.", err=True)
            time.sleep(2)

    return wrapper


def _explain(error: SQLAlchemyError) -> str:
    words = sqlserver.message(getattr(error, "orig", None) or error)
    if not is_unavailable(error):
        return f"The database refused a statement: {words}"
    return (
        f"The database does not answer: {words}\n"
        "docs/sql-server.md lists such messages with their causes and remedies."
    )


database_commands = Commands("db", help="Check, create, upgrade and seed the database.")


@database_commands.command("check")
def check() -> None:
    """Say which database answers and whether its schema is current."""
    if current_settings.database_file:
        click.echo(f"SQLite {sqlite3.sqlite_version}, {current_settings.database_file}")
    else:
        with db.engine.connect() as connection:
            about = connection.execute(text(_ABOUT_SERVER)).one()
        snapshot = "on" if about.HasSnapshot else "off: readers wait for writers"
        click.echo(f"driver    {sqlserver.find_driver()}")
        click.echo(f"server    SQL Server {about.Version}, {about.Edition}")
        click.echo(f"database  {about.Name} as {about.Login}, read-committed snapshot {snapshot}")
    missing = migrations.pending(db.engine, current_settings)
    click.echo(f"schema    {migrations.advice(missing) if missing else 'current'}")
    if missing:
        raise SystemExit(1)


@database_commands.command("create")
def create() -> None:
    """Create the database on SQL Server, with read-committed snapshot on. SQLite needs nothing."""
    if current_settings.database_file:
        click.echo("The embedded database creates itself.")
        return
    connection_string = sqlserver.connection_string(current_settings.database_url)
    migrations.create(connection_string)
    click.echo(f"The database {sqlserver.database_name(connection_string)} exists.")


@database_commands.command("upgrade")
def upgrade() -> None:
    """Apply the schema scripts that the database does not have yet."""
    for script in migrations.upgrade(current_settings):
        click.echo(f"Applied {script.name}")
    click.echo("The schema is current.")


@database_commands.command("seed")
def seed() -> None:
    """Add demo users, whose password is public, to a database without users."""
    login = f"Demo login: {DEMO_EMAIL}, password {DEMO_PASSWORD}"
    if migrations.seed(current_settings):
        click.echo(f"{login} (try it at / or at /swagger)")
    elif fetch_one(select(USER.id).where(USER.email == DEMO_EMAIL)):
        click.echo(f"{login}, unless it was changed")
    else:
        click.echo("Not seeded: the database has other users.")
