"""Users: signing up, logging in, passwords. A function here keeps one rule, in one transaction where it writes."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import and_, func, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from .. import attempts
from ..audit import security_event
from ..clock import minute_begun
from ..config import current_settings
from ..database.engine import AnyRow, execute, fetch_all, fetch_one, insert_row, transaction
from ..errors import A04, L02, P01, S02, S03, S04, ApiError
from ..models import refresh_tokens, users
from .passwords import NOBODY, Hasher, PasswordHash, hasher_of, weakness
from .sessions import (
    Device,
    OpenSession,
    delete_all,
    is_signed_in_at,
    make_room,
    open_session,
    purge,
)

PURGED_AT_LOGIN = 20

column, session = users.c, refresh_tokens.c


def sign_up(password: str, confirm_password: str, user: dict[str, Any]) -> Mapping[str, object]:
    """Add an active user.

    Args:
        password: in plain text.
        confirm_password: the same once more.
        user: email, first_name, last_name and ts, since when.

    Raises:
        ApiError: S02 email taken, S03 passwords differ, S04 weak password.
    """
    _check_new_password(password, confirm_password, user)
    if find_user(user["email"]):
        raise ApiError(S02)
    hashed = _hasher().hash(password)
    try:
        user_id = insert_row(users, user | vars(hashed) | {"active": True})
    except IntegrityError:  # somebody else was faster; the unique index decides
        raise ApiError(S02) from None
    security_event("signed_up", user_id=user_id)
    return user | {"id": user_id}


def log_in(email: str, password: str, device: Device) -> OpenSession:
    """Open a session.

    Raises:
        ApiError: L02 for an unknown email, a wrong password and an inactive user alike; RATE_LIMITED.
    """
    user = find_user(email)
    verified = check_password(user, email, password, device)
    if user is None or verified is None:
        security_event("login_failed", user_id=user.id if user else None)
        raise ApiError(L02)
    hasher = _hasher()
    stored = verified if verified.iterations == hasher.iterations else hasher.hash(password)
    opened, surplus = _open(user, verified, stored, device, alone=False)
    if opened is None:
        security_event("login_failed", user_id=user.id)
        raise ApiError(L02)
    for session_id in surplus:
        security_event(
            "session_ended", reason="max_sessions", user_id=user.id, session_id=session_id
        )
    security_event("login_ok", user_id=user.id, session_id=opened.session_id)
    with suppress(SQLAlchemyError):  # housekeeping is no reason to refuse a login
        purge(PURGED_AT_LOGIN)
    return opened


def change_password(
    user_id: int,
    *,
    current_password: str,
    new_password: str,
    confirm_password: str,
    device: Device,
) -> OpenSession:
    """Change the password, end every session of the user and open a new one.

    Raises:
        ApiError: S03, S04, P01 wrong current password, A04 the row changed meanwhile, RATE_LIMITED.
    """
    user = details(user_id)
    _check_new_password(new_password, confirm_password, user._mapping)
    verified = check_password(user, user.email, current_password, device)
    if verified is None:
        security_event("password_change_failed", user_id=user_id)
        raise ApiError(P01)
    opened, _ = _open(user, verified, _hasher().hash(new_password), device, alone=True)
    if opened is None:
        raise ApiError(A04)
    security_event("password_changed", user_id=user_id, session_id=opened.session_id)
    return opened


@transaction
def _open(
    user: AnyRow, verified: PasswordHash, stored: PasswordHash, device: Device, *, alone: bool
) -> tuple[OpenSession | None, list[uuid.UUID]]:
    """Open a session for a user whose password was verified, ``alone`` or beside others.

    Returns:
        The session, if the password is still the same, and the ids of those that made room.
    """
    # The first statement fails when the password was changed since it was verified, and its row lock makes the
    # logins of one user wait for each other: that is what keeps max_sessions.
    unchanged = (column.id == user.id, column.active, column.password == verified.password)
    if not execute(update(users).where(*unchanged).values(vars(stored))):
        return None, []
    surplus = [] if alone else make_room(user.id)
    if alone:
        delete_all(user.id)
    return open_session(user, device), surplus


def details(user_id: int) -> AnyRow:
    """The user's row.

    Raises:
        ApiError: A04, the user is gone.
    """
    found = fetch_one(select(users).where(column.id == user_id))
    if found is None:
        raise ApiError(A04)
    return found


def find_user(email: str) -> AnyRow | None:
    """The user with this email, whatever its case."""
    return fetch_one(select(users).where(column.email == email))


def list_users() -> Sequence[AnyRow]:
    """Every user, with the number of living sessions, by email."""
    living = and_(session.user_id == column.id, session.expiry_date > minute_begun())
    sessions = select(func.count(session.id)).where(living).scalar_subquery()
    return fetch_all(select(users, sessions.label("sessions")).order_by(column.email))


def set_active(user_id: int, active: bool) -> None:
    """Let a user in, or keep them out and end every session of theirs."""
    _change(user_id, sign_out=not active, active=active)


def set_password(user: AnyRow, password: str) -> None:
    """Give a user another password, as the operator, and end every session of theirs.

    Raises:
        ApiError: S04.
    """
    _check_new_password(password, password, user._mapping)
    _change(user.id, sign_out=True, **vars(_hasher().hash(password)))
    security_event("password_changed", user_id=user.id, by="operator")


@transaction
def _change(user_id: int, *, sign_out: bool, **values: object) -> None:
    execute(update(users).where(column.id == user_id).values(values))
    if sign_out:
        delete_all(user_id)


def _hasher() -> Hasher:
    return hasher_of(current_settings.password_iterations)


def _check_new_password(password: str, confirmation: str, user: Any) -> None:
    if password != confirmation:
        raise ApiError(S03)
    if reason := weakness(password, user["email"], user["first_name"], user["last_name"]):
        raise ApiError(S04, reason)


def check_password(
    user: AnyRow | None, email: str, password: str, device: Device
) -> PasswordHash | None:
    """The hash of the user's password, if that is ``password`` and the user is active.

    Wrong ones are counted per account and client, and per account from everywhere. Whoever sits where the user is
    signed in is not held up by what others do, so nobody locks somebody else out. An account that does not exist
    counts like any other, and takes as long.

    Raises:
        ApiError: RATE_LIMITED.
    """
    account = (user.email if user else email).casefold()
    client = attempts.client_of(device.ip_address)
    here = (current_settings.ratelimit_login_failures, "account", account, client)
    everywhere = (current_settings.ratelimit_account_failures, "account", account)
    if attempts.is_used_up(*here):
        attempts.refuse(*here)
    if attempts.is_used_up(*everywhere) and not (user and is_signed_in_at(user.id, client)):
        attempts.refuse(*everywhere)
    stored = PasswordHash(user.password, user.password_salt) if user else NOBODY
    if _hasher().verify(password, stored) and user and user.active:
        return stored
    attempts.hit(*here)
    attempts.hit(*everywhere)
    return None
