"""flask db ...: the operator's commands for the database. Those for people are in auth/cli.py."""

from contextlib import suppress
from typing import Any

import click
from flask.cli import AppGroup, ScriptInfo
from sqlalchemy import select
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from . import diagnosis, migrations
from .config import settings
from .database import db, fetch_one
from .errors import ApiError
from .models import User

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
        except migrations.MigrationError as error:
            raise click.ClickException(str(error)) from None
        except SQLAlchemyError as error:
            with ctx.ensure_object(ScriptInfo).load_app().app_context():
                # A server that does not answer is not asked again: that would take as long once more.
                asked = settings.is_sqlite or isinstance(error, ProgrammingError)
                raise click.ClickException((asked and _not_current()) or diagnosis.explain(error, settings)) from None


def _not_current() -> str | None:
    with suppress(SQLAlchemyError):
        if scripts := migrations.pending(db.engine, settings):
            return f"the schema is not current ({scripts[0].name}): run '.venv/bin/flask --app wsgi db upgrade'"
    return None


database = Commands("db", help="Check, create, upgrade and seed the database.")


@database.command("check")
def check() -> None:
    """Say how the database is reached and how it is; if it is not well, what is wrong and what to do."""
    lines, usable = diagnosis.report(db.engine, settings)
    for name, value in lines:
        click.echo(f"{name:<12}{value}")
    if not usable:
        raise SystemExit(1)


@database.command("create")
def create() -> None:
    """Make the database on SQL Server, with read-committed snapshot on. The embedded one makes itself."""
    if settings.is_sqlite:
        click.echo("The embedded database is created by 'db upgrade', and when the service starts.")
        return
    refused = migrations.create(settings.database_url)
    click.echo(f"The database {settings.database_url.database} is there.")
    for reason in refused:
        click.echo(f"Read-committed snapshot could not be switched on; 'db check' says whether it is: {reason}")


@database.command("upgrade")
def upgrade() -> None:
    """Apply the schema scripts that the database has not seen."""
    for script in migrations.upgrade(db.engine, settings):
        click.echo(f"Applied {script.name}")
    click.echo("The schema is current.")


@database.command("seed")
def seed() -> None:
    """Add demo users with known passwords to an empty database.

    The embedded database is created and upgraded first.
    """
    if settings.upgrade_on_start:
        migrations.upgrade(db.engine, settings)
    if reason := _not_current():
        raise click.ClickException(reason)
    seeded = migrations.seed(db.engine, settings)
    if seeded:
        click.echo(f"Demo login: {DEMO_EMAIL}, password {DEMO_PASSWORD}")
    elif fetch_one(select(User.c.id).where(User.c.email == DEMO_EMAIL)):
        click.echo(f"Demo login: {DEMO_EMAIL}, password {DEMO_PASSWORD} unless it was changed")
    else:
        click.echo("Not seeded: the database has other users.")
