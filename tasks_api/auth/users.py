"""Users: signing up, changing details, deleting the account, and what the operator does. login.py opens sessions."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.exc import IntegrityError

from ..audit import security_event
from ..config import current_settings
from ..database.engine import AnyRow, execute, fetch_all, fetch_one, insert_row, transaction
from ..database.tables import SESSION, USER, session_table, tables_of_user, user_table
from ..errors import A04, P01, S01, S02, S03, S04, ApiError
from .emails import are_same, malformation
from .passwords import UNKNOWN_USER, Hasher, PasswordHash, hasher_of, weakness
from .sessions import delete_all

_SECRETS = {
    USER.password,
    USER.password_salt,
    SESSION.token_hash,
    SESSION.token_salt,
}


def sign_up(
    password: str, confirm_password: str, details: dict[str, Any]
) -> Mapping[str, object]:
    """Add an active user.

    Args:
        password: in plain text.
        confirm_password: the same again.
        details: email, first_name, last_name and ts.

    Raises:
        ApiError: S02 email taken, S03 passwords differ, S04 weak password.
    """
    check_new_password(password, confirm_password, details)
    if find_user(details["email"]):
        raise ApiError(S02)
    values = details | vars(hasher().hash(password)) | {"active": True}
    try:
        user_id = insert_row(user_table, values)
    except IntegrityError:  # another signup was faster; the unique index decides
        raise ApiError(S02) from None
    security_event("signed_up", user_id=user_id)
    return details | {"id": user_id}


def find_user(email: str) -> AnyRow | None:
    """Return the user with this email, ignoring case."""
    return fetch_one(select(user_table).where(USER.email == email))


def get_user(user_id: int) -> AnyRow:
    """Return the user's row.

    Raises:
        ApiError: A04, the user was deleted.
    """
    user = fetch_one(select(user_table).where(USER.id == user_id))
    if user is None:
        raise ApiError(A04)
    return user


def hasher() -> Hasher:
    """Return the process's hasher with the iterations of the settings."""
    return hasher_of(current_settings.password_iterations)


def verified_hash(user: AnyRow | None, password: str) -> PasswordHash | None:
    """Return the user's hash if ``password`` is right and the user is active. Without a user it takes as long."""
    stored = PasswordHash(user.password, user.password_salt) if user else UNKNOWN_USER
    is_right = hasher().verify(password, stored)
    return stored if is_right and user and user.active else None


def require_password(user: AnyRow, password: str, event: str) -> PasswordHash:
    """Return the user's hash if ``password`` is right; otherwise record ``event``.

    Raises:
        ApiError: P01.
    """
    verified = verified_hash(user, password)
    if verified is None:
        security_event(event, user_id=user.id)
        raise ApiError(P01)
    return verified


def unchanged_user(user_id: int, verified: PasswordHash) -> ColumnElement[bool]:
    """Return a WHERE condition: the user is active, and the hash is still the verified one."""
    return and_(USER.id == user_id, USER.active, USER.password == verified.password)


def check_new_password(password: str, confirmation: str, user: Mapping[Any, Any]) -> None:
    """Check a new password of a user.

    Raises:
        ApiError: S03 the two differ, S04 weak password.
    """
    if password != confirmation:
        raise ApiError(S03)
    personal = (user["email"], user["first_name"], user["last_name"])
    if reason := weakness(password, *personal):
        raise ApiError(S04, reason)


def change_info(user_id: int, changes: Mapping[str, str], current_password: str | None) -> AnyRow:
    """Change the details that ``changes`` names: first_name, last_name, email. No session ends.

    Args:
        user_id: of the user.
        changes: new values by column.
        current_password: required for a new email; a change of case alone does not need it.

    Returns:
        The user's row.

    Raises:
        ApiError: S01 malformed email, or no password; P01 wrong password; S02 email taken; A04 the row changed
            meanwhile.
    """
    user = get_user(user_id)
    if not changes:
        return user
    condition = USER.id == user_id
    has_new_email = "email" in changes and not are_same(changes["email"], user.email)
    if has_new_email:
        verified = _verified_for_new_email(user, changes["email"], current_password)
        condition = unchanged_user(user_id, verified)
    elif "email" in changes:  # another request may have set a new email; do not overwrite it
        condition = and_(condition, USER.email == user.email)
    change = update(user_table).where(condition).values(changes).returning(*USER)
    try:
        changed = fetch_one(change)
    except IntegrityError:  # the unique index decides
        raise ApiError(S02) from None
    if changed is None:
        raise ApiError(A04)
    security_event(
        "user_changed", reason="email" if has_new_email else "details", user_id=user_id
    )
    return changed


def _verified_for_new_email(
    user: AnyRow, email: str, current_password: str | None
) -> PasswordHash:
    if reason := malformation(email):
        raise ApiError(S01, f"email {reason}.", errors={"email": [reason]})
    if current_password is None:
        errors = {"currentPassword": ["is missing"]}
        raise ApiError(S01, "A new email needs the current password.", errors=errors)
    return require_password(user, current_password, "user_change_failed")


def delete_account(user_id: int, current_password: str) -> set[uuid.UUID]:
    """Delete the user with all rows that belong to the user.

    Returns:
        The ids of the sessions that ended.

    Raises:
        ApiError: P01 wrong password, A04 the user's row changed meanwhile.
    """
    verified = require_password(get_user(user_id), current_password, "user_delete_failed")
    ended = _delete(user_id, unchanged_user(user_id, verified))
    security_event("user_deleted", user_id=user_id)
    return ended


def delete_as_operator(user_id: int) -> None:
    """Delete the user; no password is needed.

    Raises:
        ApiError: A04, the user was deleted meanwhile.
    """
    _delete(user_id, USER.id == user_id)
    security_event("user_deleted", user_id=user_id, by="operator")


@transaction
def _delete(user_id: int, condition: ColumnElement[bool]) -> set[uuid.UUID]:
    # HOLDLOCK (SQL Server) blocks inserts of rows of this user until the commit. Without it there could be a deadlock:
    # an insert holds its new row and waits for the user's row; this transaction holds the user's row and waits for the
    # new one.
    for table, owner in tables_of_user():
        if table is not session_table:
            rows = delete(table).where(owner == user_id)
            execute(rows.with_hint("WITH (HOLDLOCK)", dialect_name="mssql"))
    # This UPDATE locks the user, before the sessions as logins do, and checks the condition.
    if not execute(update(user_table).where(condition).values(active=False)):
        raise ApiError(A04)
    ended = delete_all(user_id)
    execute(delete(user_table).where(USER.id == user_id))
    return ended


def export(user_id: int) -> dict[str, list[dict[str, object]]]:
    """Return all rows that belong to a user, by table and column, without hashes and salts."""
    found: dict[str, list[dict[str, object]]] = {}
    for table, owner in [(user_table, USER.id), *tables_of_user()]:
        columns = [each.label(str(each.name)) for each in table.c if each not in _SECRETS]
        rows = fetch_all(select(*columns).where(owner == user_id))
        found.setdefault(str(table.name), []).extend(row._asdict() for row in rows)
    security_event("user_exported", user_id=user_id)
    return found


def set_active(user_id: int, active: bool) -> None:
    """Let the user log in, or end all sessions and refuse logins."""
    _change(user_id, end_sessions=not active, active=active)
    if active:
        security_event("user_activated", user_id=user_id)
    else:
        security_event("session_ended", reason="deactivated", user_id=user_id)


def set_password(user: AnyRow, password: str) -> None:
    """Set the user's password as the operator, and end all sessions.

    Raises:
        ApiError: S04.
    """
    check_new_password(password, password, user._mapping)
    _change(user.id, end_sessions=True, **vars(hasher().hash(password)))
    security_event("password_changed", user_id=user.id, by="operator")


@transaction
def _change(user_id: int, *, end_sessions: bool, **values: object) -> None:
    execute(update(user_table).where(USER.id == user_id).values(values))
    if end_sessions:
        delete_all(user_id)
