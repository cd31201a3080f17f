"""flask users ... and flask sessions ...: what an operator does for people and their devices."""

import json
import uuid

import click
import orjson

from ..audit import security_event
from ..database.commands import Commands
from ..database.engine import AnyRow
from . import accounts, sessions, users

user_commands = Commands(
    "users", help="List users, let them in or keep them out, set a password, export, delete."
)
session_commands = Commands("sessions", help="List and end sessions, purge those that ran out.")
PURGED_AT_ONCE = 1000


def _print_row(*values: object) -> None:
    """Print one line, whatever people have put into their names."""
    cells = ("".join(c if c.isprintable() else "?" for c in str(value)) for value in values)
    click.echo("\t".join(cells))


def _user(email: str) -> AnyRow:
    user = users.find_user(email.strip())
    if user is None:
        raise click.ClickException(f"there is no user {email}")
    return user


@user_commands.command("list")
def list_users() -> None:
    """Id, email, name, since when, active or not, sessions; one line a user."""
    for row in users.list_users():
        name = f"{row.first_name} {row.last_name}"
        state = "active" if row.active else "inactive"
        _print_row(row.id, row.email, name, f"{row.ts:%Y-%m-%d}", state, row.sessions)


@user_commands.command("activate")
@click.argument("email")
def activate(email: str) -> None:
    """Let a user in again."""
    user_id = _user(email).id
    users.set_active(user_id, True)
    security_event("user_activated", user_id=user_id)
    click.echo(f"{email} can log in.")


@user_commands.command("deactivate")
@click.argument("email")
def deactivate(email: str) -> None:
    """Keep a user out; every session ends at once."""
    user_id = _user(email).id
    users.set_active(user_id, False)
    security_event("session_ended", reason="deactivated", user_id=user_id)
    click.echo(f"{email} is out.")


@user_commands.command("set-password")
@click.argument("email")
@click.password_option(help="Asked for if not given, which keeps it out of the shell's history.")
def set_password(email: str, password: str) -> None:
    """Set a user's password; every session ends at once."""
    users.set_password(_user(email), password)
    click.echo(f"The password of {email} is set.")


@user_commands.command("export")
@click.argument("email")
def export(email: str) -> None:
    """Print all that is stored about a user, as JSON; of password and tokens neither hash nor salt."""
    found = accounts.export(_user(email).id)
    text = orjson.dumps(found, option=orjson.OPT_UTC_Z)
    click.echo(json.dumps(json.loads(text), indent=2))  # in ASCII, whatever is in their names


@user_commands.command("delete")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(email: str, yes: bool) -> None:
    """Delete a user with all tasks and sessions, for good."""
    _user(email)
    if not yes:
        click.confirm(f"Delete {email} with all tasks and sessions?", abort=True)
    accounts.delete_as_operator(_user(email).id)
    click.echo(f"{email} is deleted.")


@session_commands.command("list")
@click.argument("email")
def list_sessions(email: str) -> None:
    """Session id, start, last use, end, address, user agent; one line a session."""
    for row in sessions.list_sessions(_user(email).id):
        names = ("started_at", "last_used_at", "expiry_date")
        times = [f"{row[name]:%Y-%m-%dT%H:%MZ}" for name in names]
        _print_row(row["session_id"], *times, row["ip_address"], row["user_agent"])


@session_commands.command("end")
@click.argument("email")
@click.argument("session_id", type=click.UUID, required=False)
def end(email: str, session_id: uuid.UUID | None) -> None:
    """End one session of a user, or all of them."""
    user_id = _user(email).id
    if session_id is None:
        sessions.end_all_sessions(user_id)
    elif not sessions.end_session(user_id, session_id, "operator"):
        raise click.ClickException(f"{email} has no such session")
    click.echo("Ended.")


@session_commands.command("purge")
def purge() -> None:
    """Delete the sessions that ran out; for cron."""
    purged = 0
    while count := sessions.purge(PURGED_AT_ONCE):
        purged += count
    click.echo(f"{purged} purged.")
