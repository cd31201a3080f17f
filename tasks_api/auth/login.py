"""Login and password change: both verify a password and open a session."""

import uuid
from contextlib import suppress

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from ..audit import security_event
from ..database.engine import AnyRow, execute, transaction
from ..database.tables import user_table
from ..errors import A04, L02, ApiError
from .passwords import PasswordHash
from .sessions import Device, NewPair, delete_all, delete_surplus, open_session, purge
from .users import (
    check_new_password,
    find_user,
    get_user,
    hasher,
    require_password,
    unchanged_user,
    verified_hash,
)

PURGED_AT_LOGIN = 20  # how many expired sessions a login deletes at most


def log_in(email: str, password: str, device: Device) -> NewPair:
    """Open a session.

    Raises:
        ApiError: L02 for an unknown email, a wrong password or an inactive user.
    """
    # Another login can replace the hash between the check and the UPDATE. Then read and check once more.
    for _ in range(2):
        user = find_user(email)
        verified = verified_hash(user, password)
        if user is None or verified is None:
            break
        is_current = verified.iterations == hasher().iterations
        new_hash = verified if is_current else hasher().hash(password)
        pair, ended = _open(user, verified, new_hash, device, end_others=False)
        if pair:
            for session_id in ended:
                facts = {"user_id": user.id, "session_id": session_id}
                security_event("session_ended", reason="max_sessions", **facts)
            security_event("login_ok", user_id=user.id, session_id=pair.session_id)
            with suppress(SQLAlchemyError):  # cleaning up must not make a login fail
                purge(PURGED_AT_LOGIN)
            return pair
    security_event("login_failed", user_id=user.id if user else None)
    raise ApiError(L02)


def change_password(
    user_id: int,
    *,
    current_password: str,
    new_password: str,
    confirm_password: str,
    device: Device,
) -> NewPair:
    """Change the password, end all sessions of the user and open a new one.

    Raises:
        ApiError: S03, S04, P01 wrong current password, A04 the user's row changed meanwhile.
    """
    user = get_user(user_id)
    check_new_password(new_password, confirm_password, user._mapping)
    verified = require_password(user, current_password, "password_change_failed")
    pair, _ = _open(user, verified, hasher().hash(new_password), device, end_others=True)
    if pair is None:
        raise ApiError(A04)
    security_event("password_changed", user_id=user_id, session_id=pair.session_id)
    return pair


@transaction
def _open(
    user: AnyRow,
    verified: PasswordHash,
    new_hash: PasswordHash,
    device: Device,
    *,
    end_others: bool,
) -> tuple[NewPair | None, list[uuid.UUID]]:
    """Open a session for a user whose password was verified.

    Returns:
        The session, or None if the password changed meanwhile, and the ids of sessions that ended because of
        max_sessions.
    """
    # The row lock of this statement makes the logins of one user wait for each other, which keeps max_sessions.
    condition = unchanged_user(user.id, verified)
    if not execute(update(user_table).where(condition).values(vars(new_hash))):
        return None, []
    if end_others:
        delete_all(user.id)
    pair = open_session(user, device)
    ended = [] if end_others else delete_surplus(user.id, pair.session_id)
    return pair, ended
