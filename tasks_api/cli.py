"""flask db ...: the operator's commands."""

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from . import migrations
from .config import settings
from .database import db

database = AppGroup("db", help="Create, upgrade, seed and inspect the database.")


def init_cli(app: Flask) -> None:
    """Add the commands to the flask command."""
    app.cli.add_command(database)


@database.command("upgrade")
def upgrade() -> None:
    """Apply the schema scripts that the database has not seen."""
    for script in _or_fail(lambda: migrations.upgrade(db.engine, settings)):
        click.echo(f"Applied {script.name}")
    click.echo("The schema is current.")


@database.command("seed")
def seed() -> None:
    """Add demo users with known passwords to an empty database.

    The embedded database is created and upgraded first.
    """
    if settings.upgrade_on_start:
        _or_fail(lambda: migrations.upgrade(db.engine, settings))
    if _or_fail(lambda: migrations.pending(db.engine, settings)):
        raise click.ClickException("the schema is not current: run 'flask --app wsgi db upgrade' first")
    if _or_fail(lambda: migrations.seed(db.engine, settings)):
        click.echo("Seeded two demo users: anna@example.com and bertil@example.com, password Tasks-demo-2026")
    else:
        click.echo("Not seeded: the database has users already.")


@database.command("status")
def status() -> None:
    """Say which scripts are applied and which are pending."""
    waiting = _or_fail(lambda: migrations.pending(db.engine, settings))
    for script in migrations.scripts(settings):
        click.echo(f"{'pending' if script in waiting else 'applied'}  {script.name}")


def _or_fail(action):  # type: ignore[no-untyped-def]
    try:
        return action()
    except migrations.MigrationError as error:
        raise click.ClickException(str(error)) from None
    except (SQLAlchemyError, OSError) as error:
        raise click.ClickException(f"the database does not answer: {getattr(error, 'orig', error)}") from None
