"""flask users ... and flask sessions ...: what an operator does for users and their devices."""

import json

import click
import orjson

from ..database.commands import Commands
from ..database.engine import AnyRow
from . import sessions, users

PURGED_AT_ONCE = 1000

user_commands = Commands("users", help="Deactivate, export and delete users; set a password.")
session_commands = Commands("sessions", help="End the sessions of a user; purge expired ones.")


def user_of(email: str) -> AnyRow:
    """Return the user that an argument names, or end the command."""
    user = users.find_user(email.strip())
    if user is None:
        raise click.ClickException(f"There is no user {email}.")
    return user


@user_commands.command("activate")
@click.argument("email")
def activate(email: str) -> None:
    """Let a user log in again."""
    users.set_active(user_of(email).id, True)
    click.echo(f"{email} is active.")


@user_commands.command("deactivate")
@click.argument("email")
def deactivate(email: str) -> None:
    """End all sessions of a user and refuse logins."""
    users.set_active(user_of(email).id, False)
    click.echo(f"{email} is inactive.")


@user_commands.command("set-password")
@click.argument("email")
@click.password_option(help="Without this option the command asks for the password.")
def set_password(email: str, password: str) -> None:
    """Set a user's password and end all sessions of the user."""
    users.set_password(user_of(email), password)
    click.echo(f"The password of {email} is set.")


@user_commands.command("export")
@click.argument("email")
def export(email: str) -> None:
    """Print all that is stored about a user as JSON, without hashes and salts."""
    found = users.export(user_of(email).id)
    text = orjson.dumps(found, option=orjson.OPT_UTC_Z)
    click.echo(json.dumps(json.loads(text), indent=2))  # ASCII, which every terminal can print


@user_commands.command("delete")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(email: str, yes: bool) -> None:
    """Delete a user with all tasks and sessions."""
    user_id = user_of(email).id
    if not yes:
        click.confirm(f"Delete {email} with all tasks and sessions?", abort=True)
    users.delete_as_operator(user_id)
    click.echo(f"{email} is deleted.")


@session_commands.command("end")
@click.argument("email")
def end(email: str) -> None:
    """End all sessions of a user."""
    sessions.end_all_sessions(user_of(email).id)
    click.echo(f"{email} is signed out everywhere.")


@session_commands.command("purge")
def purge() -> None:
    """Delete expired sessions. Run this from cron."""
    purged = 0
    while count := sessions.purge(PURGED_AT_ONCE):
        purged += count
    click.echo(f"{purged} purged.")
