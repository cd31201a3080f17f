"""An account after its signup: changed, deleted, and all that is stored about it."""

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from ..audit import security_event
from ..database.engine import AnyRow, execute, fetch_all, fetch_one, transaction
from ..errors import A04, IN_USE, P01, S01, S02, ApiError
from ..models import refresh_tokens, tasks, users
from .emails import are_same, malformation
from .sessions import Device, delete_all
from .users import check_password, details

log = logging.getLogger(__name__)

column, session = users.c, refresh_tokens.c

# Each table that knows the user, and by which column.
_ROWS_OF_USER = {users: column.id, tasks: tasks.c.user_id, refresh_tokens: session.user_id}
_SECRETS = {column.password, column.password_salt, session.token_hash, session.token_salt}


def change_info(
    user_id: int, changes: Mapping[str, str], current_password: str | None, device: Device
) -> AnyRow:
    """Change what ``changes`` names: first_name, last_name, email. No session ends.

    Args:
        user_id: whose.
        changes: the new values.
        current_password: needed for a new email; the user's own in another case is none.
        device: where the request came from.

    Returns:
        The user's row.

    Raises:
        ApiError: S01 a new email that is none, or without the password, P01 wrong password, S02 email taken, A04 the
            row changed meanwhile, RATE_LIMITED.
    """
    user = details(user_id)
    if not changes:
        return user
    unchanged = [column.id == user_id]
    has_new_email = "email" in changes and not are_same(changes["email"], user.email)
    if has_new_email:
        verified = _checked_for_new_email(user, changes["email"], current_password, device)
        unchanged += [column.active, column.password == verified]
    elif "email" in changes:  # or an older one would come back without the password
        unchanged += [column.email == user.email]
    try:
        changed = fetch_one(update(users).where(*unchanged).values(changes).returning(*column))
    except IntegrityError:  # the unique index decides
        raise ApiError(S02) from None
    if changed is None:
        raise ApiError(A04)
    security_event("user_changed", reason="email" if has_new_email else "details", user_id=user_id)
    return changed


def _checked_for_new_email(
    user: AnyRow, email: str, current_password: str | None, device: Device
) -> str:
    """The hash of the user's password, which the request has."""
    if reason := malformation(email):
        raise ApiError(S01, f"email {reason}.", errors={"email": [reason]})
    if current_password is None:
        missing = {"currentPassword": ["is missing"]}
        raise ApiError(
            S01, "A new email needs the current password (currentPassword).", errors=missing
        )
    verified = check_password(user, user.email, current_password, device)
    if verified is None:
        security_event("user_change_failed", user_id=user.id)
        raise ApiError(P01)
    return verified.password


def delete_own(user_id: int, current_password: str, device: Device) -> set[uuid.UUID]:
    """Delete the user's account.

    Returns:
        The ids of the sessions that ended.

    Raises:
        ApiError: P01 wrong password, A04 the row changed meanwhile, IN_USE, RATE_LIMITED.
    """
    user = details(user_id)
    verified = check_password(user, user.email, current_password, device)
    if verified is None:
        security_event("user_delete_failed", user_id=user_id)
        raise ApiError(P01)
    ended = _delete(user_id, column.active, column.password == verified.password)
    security_event("user_deleted", user_id=user_id)
    return ended


def delete_as_operator(user_id: int) -> None:
    """Delete an account without its password.

    Raises:
        ApiError: A04 there is none, IN_USE.
    """
    _delete(user_id)
    security_event("user_deleted", user_id=user_id, by="operator")


@transaction
def _delete(user_id: int, *unchanged: Any) -> set[uuid.UUID]:
    # On SQL Server whoever adds a task at this moment comes before us, or waits and finds no user. Without the lock
    # on their range of IX_Task_UserId_Id they would hold the new task and wait for the user, while we hold the user
    # and wait for the task.
    own = delete(tasks).where(tasks.c.user_id == user_id)
    execute(own.with_hint("WITH (HOLDLOCK)", dialect_name="mssql"))
    # For its lock: the user before the sessions, as in our logins.
    locked = update(users).where(column.id == user_id, *unchanged).values(active=False)
    if not execute(locked):
        raise ApiError(A04)
    ended = delete_all(user_id)
    try:
        execute(delete(users).where(column.id == user_id))
    except IntegrityError as error:  # a table of somebody else's, in a database that others use too
        log.error("the user could not be deleted: %s", error.orig)
        raise ApiError(IN_USE) from None
    return ended


def export(user_id: int) -> dict[str, list[dict[str, object]]]:
    """All that is stored about a user, by table and column, but for hashes and salts."""
    found = {}
    for table, owner in _ROWS_OF_USER.items():
        told = [each.label(str(each.name)) for each in table.c if each not in _SECRETS]
        rows = fetch_all(select(*told).where(owner == user_id))
        found[str(table.name)] = [row._asdict() for row in rows]
    security_event("user_exported", user_id=user_id)
    return found
