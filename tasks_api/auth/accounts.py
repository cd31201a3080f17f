"""An account after its signup: changed, deleted, and all that is stored about it."""

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from ..audit import security_event
from ..database.engine import AnyRow, execute, fetch_all, fetch_one, transaction
from ..errors import A04, P01, S01, S02, UNAVAILABLE, ApiError
from ..models import refresh_tokens, tasks, users
from .sessions import Device, delete_all
from .users import check_password, details

log = logging.getLogger(__name__)

column = users.c

# Each table that knows the user, and by which column.
_ROWS_OF_USER = {users: column.id, tasks: tasks.c.user_id, refresh_tokens: refresh_tokens.c.user_id}
_SECRETS = {column.password, column.password_salt}
_SECRETS |= {refresh_tokens.c.token_hash, refresh_tokens.c.token_salt}


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
        ApiError: S01 a new email without the password, P01 wrong password, S02 email taken, A04 the row changed
            meanwhile, RATE_LIMITED.
    """
    user = details(user_id)
    if not changes:
        return user
    unchanged = [column.id == user_id]
    has_new_email = changes.get("email", user.email).casefold() != user.email.casefold()
    if has_new_email:
        if current_password is None:
            missing = {"currentPassword": ["is missing"]}
            raise ApiError(S01, "A new email needs currentPassword.", errors=missing)
        verified = check_password(user, user.email, current_password, device)
        if verified is None:
            security_event("user_change_failed", user_id=user_id)
            raise ApiError(P01)
        unchanged += [column.active, column.password == verified.password]
    try:
        changed = fetch_one(update(users).where(*unchanged).values(changes).returning(*column))
    except IntegrityError:  # the unique index decides
        raise ApiError(S02) from None
    if changed is None:
        raise ApiError(A04)
    security_event("user_changed", reason="email" if has_new_email else "details", user_id=user_id)
    return changed


def delete_own(user_id: int, current_password: str, device: Device) -> None:
    """Delete the user's account.

    Raises:
        ApiError: P01 wrong password, A04 the row changed meanwhile, UNAVAILABLE, RATE_LIMITED.
    """
    user = details(user_id)
    verified = check_password(user, user.email, current_password, device)
    if verified is None:
        security_event("user_delete_failed", user_id=user_id)
        raise ApiError(P01)
    _delete(user_id, column.active, column.password == verified.password)
    security_event("user_deleted", user_id=user_id)


def delete_account(user_id: int) -> None:
    """Delete an account, as the operator.

    Raises:
        ApiError: UNAVAILABLE.
    """
    _delete(user_id)
    security_event("user_deleted", user_id=user_id, by="operator")


def export(user_id: int) -> dict[str, list[dict[str, object]]]:
    """All that is stored about a user, by table and column, but for hashes and salts."""
    found = {}
    for table, owner in _ROWS_OF_USER.items():
        told = [each for each in table.c if each not in _SECRETS]
        names = [each.name for each in told]
        rows = fetch_all(select(*told).where(owner == user_id))
        found[table.name] = [dict(zip(names, row, strict=True)) for row in rows]
    security_event("user_exported", user_id=user_id)
    return found


def _delete(user_id: int, *unchanged: Any) -> None:
    try:
        _delete_everything(user_id, *unchanged)
    except IntegrityError as error:  # somebody else's table, in a database that others use too
        log.error("the user could not be deleted: %s", error.orig)
        detail = "Something in the database still refers to this user."
        raise ApiError(UNAVAILABLE, detail) from None


@transaction
def _delete_everything(user_id: int, *unchanged: Any) -> None:
    # Whoever adds a task at this moment comes before us, or waits and finds no user. Without the range lock they
    # would hold the new task while they wait for the user, and we the user while we wait for the task: a deadlock.
    own = delete(tasks).where(tasks.c.user_id == user_id)
    execute(own.with_hint("WITH (HOLDLOCK)", dialect_name="mssql"))
    # The user before the sessions, as a login does.
    locked = update(users).where(column.id == user_id, *unchanged).values(active=False)
    if not execute(locked):
        raise ApiError(A04)
    delete_all(user_id)
    execute(delete(users).where(column.id == user_id))
