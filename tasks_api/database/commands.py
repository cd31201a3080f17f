"""flask db ...: the operator's commands for the database."""

from typing import Any

import click
from flask.cli import AppGroup, ScriptInfo
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from ..config import current_settings
from ..errors import ApiError
from ..models import users
from . import check, migrations
from .engine import db, fetch_one

DEMO_EMAIL = "anna@example.com"  # as in sql/*/seed.sql
DEMO_PASSWORD = "Tasks-demo-2026"


class Commands(AppGroup):
    """Commands whose failures are one line each."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ApiError as error:
            raise click.ClickException(error.detail) from None
        except UnicodeError:  # the terminal's bytes
            raise click.ClickException("what was given is no text") from None
        except SQLAlchemyError as error:
            settings = ctx.ensure_object(ScriptInfo).load_app().extensions["settings"]
            raise click.ClickException(check.explain(error, settings)) from None


database_commands = Commands("db", help="Check, create, upgrade and seed the database.")


@database_commands.command("check")
def check_database() -> None:
    """Say how the database is reached and how it is; if it is not well, what is wrong and what to do."""
    facts, is_usable = check.report(db.engine, current_settings)
    for name, fact in facts.items():
        click.echo(f"{name:<12}{fact}")
    if not is_usable:
        raise SystemExit(1)


@database_commands.command("create")
def create() -> None:
    """Make the database on SQL Server, with read-committed snapshot on. The embedded one makes itself."""
    if not current_settings.sqlserver:
        click.echo("The embedded database is created by 'db upgrade', and when the service starts.")
        return
    refused = migrations.create(current_settings.sqlserver)
    click.echo(f"The database {current_settings.sqlserver['database']} is there.")
    for reason in refused:
        click.echo(
            "Read-committed snapshot could not be switched on; 'db check' says whether it is: "
            f"{reason}"
        )


@database_commands.command("upgrade")
def upgrade() -> None:
    """Apply the schema scripts that the database has not seen."""
    for script in migrations.upgrade(db.engine, current_settings):
        click.echo(f"Applied {script.name}")
    click.echo("The schema is current.")


@database_commands.command("seed")
def seed() -> None:
    """Add demo users with known passwords to an empty database.

    The embedded database is created and upgraded first.
    """
    if current_settings.upgrade_on_start:
        migrations.upgrade(db.engine, current_settings)
    login = f"Demo login: {DEMO_EMAIL}, password {DEMO_PASSWORD}"
    if migrations.seed(db.engine, current_settings):
        click.echo(f"{login} (try it at /, or at /swagger)")
    elif fetch_one(select(users.c.id).where(users.c.email == DEMO_EMAIL)):
        click.echo(f"{login} unless it was changed")
    else:
        click.echo("Not seeded: the database has other users.")
