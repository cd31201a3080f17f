"""flask users ... and flask sessions ...: what an operator does for users and their devices."""

import json
import uuid

import click
import orjson

from ..audit import security_event
from ..database.commands import Commands
from ..database.engine import AnyRow
from . import sessions, users

PURGED_AT_ONCE = 1000

user_commands = Commands(
    "users", help="List, deactivate, export and delete users; set a password."
)
session_commands = Commands("sessions", help="List and end sessions; purge expired ones.")


def _print_row(*values: object) -> None:
    # Replace control characters: names are untrusted, and the terminal obeys them.
    cells = ("".join(c if c.isprintable() else "?" for c in str(value)) for value in values)
    click.echo("\t".join(cells))


def _user(email: str) -> AnyRow:
    user = users.find_user(email.strip())
    if user is None:
        raise click.ClickException(f"There is no user {email}.")
    return user


@user_commands.command("list")
def list_users() -> None:
    """List id, email, name, creation date, state and number of sessions, one user a line."""
    for row in users.list_users():
        name = f"{row.first_name} {row.last_name}"
        state = "active" if row.active else "inactive"
        _print_row(row.id, row.email, name, f"{row.ts:%Y-%m-%d}", state, row.sessions)


@user_commands.command("activate")
@click.argument("email")
def activate(email: str) -> None:
    """Let a user log in again."""
    user_id = _user(email).id
    users.set_active(user_id, True)
    security_event("user_activated", user_id=user_id)
    click.echo(f"{email} is active.")


@user_commands.command("deactivate")
@click.argument("email")
def deactivate(email: str) -> None:
    """End all sessions of a user and refuse logins."""
    user_id = _user(email).id
    users.set_active(user_id, False)
    security_event("session_ended", reason="deactivated", user_id=user_id)
    click.echo(f"{email} is inactive.")


@user_commands.command("set-password")
@click.argument("email")
@click.password_option(help="Without this option the command asks for the password.")
def set_password(email: str, password: str) -> None:
    """Set a user's password and end all sessions of the user."""
    users.set_password(_user(email), password)
    click.echo(f"The password of {email} is set.")


@user_commands.command("export")
@click.argument("email")
def export(email: str) -> None:
    """Print all that is stored about a user as JSON, without hashes and salts."""
    found = users.export(_user(email).id)
    text = orjson.dumps(found, option=orjson.OPT_UTC_Z)
    click.echo(json.dumps(json.loads(text), indent=2))  # ASCII, which every terminal can print


@user_commands.command("delete")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(email: str, yes: bool) -> None:
    """Delete a user with all tasks and sessions."""
    user_id = _user(email).id
    if not yes:
        click.confirm(f"Delete {email} with all tasks and sessions?", abort=True)
    users.delete_as_operator(user_id)
    click.echo(f"{email} is deleted.")


@session_commands.command("list")
@click.argument("email")
def list_sessions(email: str) -> None:
    """List id, start, last use, end, address and user agent, one session a line."""
    for row in sessions.list_sessions(_user(email).id):
        names = ("started_at", "last_used_at", "expiry_date")
        times = [f"{row[name]:%Y-%m-%dT%H:%MZ}" for name in names]
        _print_row(row["session_id"], *times, row["ip_address"] or "-", row["user_agent"] or "-")


@session_commands.command("end")
@click.argument("email")
@click.argument("session_id", type=click.UUID, required=False)
def end(email: str, session_id: uuid.UUID | None) -> None:
    """End one session of a user, or all of them."""
    user_id = _user(email).id
    if session_id is None:
        sessions.end_all_sessions(user_id)
    elif not sessions.end_session(user_id, session_id, "operator"):
        raise click.ClickException(f"{email} has no such session.")
    click.echo("Ended.")


@session_commands.command("purge")
def purge() -> None:
    """Delete expired sessions. Run this from cron."""
    purged = 0
    while count := sessions.purge(PURGED_AT_ONCE):
        purged += count
    click.echo(f"{purged} purged.")
