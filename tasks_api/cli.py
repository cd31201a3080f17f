"""flask db ...: the operator's commands."""

from collections.abc import Callable
from typing import TypeVar

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from . import migrations
from .config import settings
from .database import db
from .models import User

DEMO_EMAIL = "anna@example.com"  # as in sql/*/seed.sql
DEMO_PASSWORD = "Tasks-demo-2026"

T = TypeVar("T")

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
    seeded = _or_fail(lambda: migrations.seed(db.engine, settings))
    if seeded or db.session.execute(select(User.id).where(User.email == DEMO_EMAIL)).first():
        click.echo(f"Demo login: {DEMO_EMAIL}, password {DEMO_PASSWORD}")
    else:
        click.echo("Not seeded: the database has other users.")


@database.command("status")
def status() -> None:
    """Say which scripts are applied and which are pending."""
    waiting = _or_fail(lambda: migrations.pending(db.engine, settings))
    for script in migrations.scripts(settings):
        click.echo(f"{'pending' if script in waiting else 'applied'}  {script.name}")


def _or_fail(action: Callable[[], T]) -> T:
    try:
        return action()
    except migrations.MigrationError as error:
        raise click.ClickException(str(error)) from None
    except (SQLAlchemyError, OSError) as error:
        raise click.ClickException(f"the database does not answer: {getattr(error, 'orig', error)}") from None
