"""flask db ...: the operator's commands for the database. Those for people are in auth/cli.py."""

from collections.abc import Callable
from typing import TypeVar

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from . import diagnosis, migrations
from .auth.cli import sessions, users
from .config import settings
from .database import db, execute
from .models import User

DEMO_EMAIL = "anna@example.com"  # as in sql/*/seed.sql
DEMO_PASSWORD = "Tasks-demo-2026"

T = TypeVar("T")

database = AppGroup("db", help="Check, create, upgrade and seed the database.")


def init_cli(app: Flask) -> None:
    """Add the commands to the flask command."""
    for group in (database, users, sessions):
        app.cli.add_command(group)


@database.command("check")
def check() -> None:
    """Say how the database is reached and how it is; if it is not well, what is wrong and what to do."""
    lines, usable = _or_fail(lambda: diagnosis.report(db.engine, settings))
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
    refused = _or_fail(lambda: migrations.create(settings.database_url))
    click.echo(f"The database {settings.database_url.database} is there.")
    for reason in refused:
        click.echo(f"Read-committed snapshot could not be switched on; 'db check' says whether it is: {reason}")


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
        raise click.ClickException("the schema is not current: run '.venv/bin/flask --app wsgi db upgrade' first")
    seeded = _or_fail(lambda: migrations.seed(db.engine, settings))
    if seeded:
        click.echo(f"Demo login: {DEMO_EMAIL}, password {DEMO_PASSWORD}")
    elif execute(select(User.c.id).where(User.c.email == DEMO_EMAIL)).first():
        click.echo(f"Demo login: {DEMO_EMAIL}, password {DEMO_PASSWORD} unless it was changed")
    else:
        click.echo("Not seeded: the database has other users.")


def _or_fail(action: Callable[[], T]) -> T:
    try:
        return action()
    except migrations.MigrationError as error:
        raise click.ClickException(str(error)) from None
    except (SQLAlchemyError, OSError) as error:
        raise click.ClickException(diagnosis.explain(error, settings)) from None
