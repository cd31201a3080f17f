"""The rules of users and sessions. A function here is a transaction, or a list of cases over a few of them."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn, cast

from flask import Flask, current_app
from sqlalchemy import and_, bindparam, delete, func, insert, literal_column, null, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ..clock import now, to_smalldatetime
from ..config import Settings, settings
from ..database import AnyRow, execute, fetch_all, fetch_one, insert_row, transaction
from ..errors import A04, INVALID_GRANT, L02, NOT_FOUND, P01, S02, S03, S04, ApiError
from ..events import security_event
from ..limits import count_wrong_password, refuse_guessing
from ..models import RefreshToken, User
from . import tokens
from .passwords import Hasher, PasswordHash, weakness
from .tokens import Keyring, Token

PURGED_AT_LOGIN = 20


@dataclass(frozen=True)
class Device:
    """Where a request came from, cut to the length of its columns."""

    user_agent: str | None
    ip_address: str | None


@dataclass(frozen=True)
class OpenSession:
    """A session and its current refresh token."""

    user_id: int
    first_name: str
    session_id: uuid.UUID
    refresh_token: str


def init_authentication(app: Flask, values: Settings) -> None:
    """Make from the settings what holds secrets or costs."""
    app.extensions["hasher"] = Hasher(values.password_iterations)
    app.extensions["keyring"] = Keyring((values.refresh_token_key, *values.refresh_token_key_previous))


def _hasher() -> Hasher:
    return cast(Hasher, current_app.extensions["hasher"])


def _keyring() -> Keyring:
    return cast(Keyring, current_app.extensions["keyring"])


# Built once: building a statement takes longer than executing it.
_SESSION_AND_USER = (
    select(RefreshToken, User.c.first_name, User.c.active)
    .join(User, User.c.id == RefreshToken.c.user_id)
    .where(RefreshToken.c.session_id == bindparam("session_id"))
)
_COMPARE_AND_SWAP = (
    update(RefreshToken)
    .where(
        RefreshToken.c.session_id == bindparam("of_session"),
        RefreshToken.c.counter == bindparam("read_counter"),
        RefreshToken.c.token_hash == bindparam("read_hash"),
    )
    .values(
        # Never a None as a parameter: the driver would have to ask the server for its type.
        user_agent=func.nullif(bindparam("agent", type_=RefreshToken.c.user_agent.type), literal_column("''")),
        ip_address=func.nullif(bindparam("address", type_=RefreshToken.c.ip_address.type), literal_column("''")),
    )
)


# --- users -----------------------------------------------------------------------------------------------


def sign_up(
    *, email: str, password: str, confirm_password: str, first_name: str, last_name: str, ts: datetime | None
) -> Mapping[str, object]:
    """Add an active user.

    Raises:
        ApiError: S02 email taken, S03 passwords differ, S04 weak password.
    """
    _check_new_password(password, confirm_password, email, first_name, last_name)
    if fetch_one(select(User.c.id).where(User.c.email == email)):
        raise ApiError(S02)
    hashed = _hasher().hash(password)
    user = {"email": email, "first_name": first_name, "last_name": last_name, "ts": ts or to_smalldatetime(now())}
    try:
        user_id = insert_row(User, user | {"password": hashed.password, "password_salt": hashed.salt, "active": True})
    except IntegrityError:  # somebody else was faster; the unique index decides
        raise ApiError(S02) from None
    security_event("signed_up", user_id=user_id)
    return user | {"id": user_id}


def _check_new_password(password: str, confirmation: str, email: str, first_name: str, last_name: str) -> None:
    if password != confirmation:
        raise ApiError(S03)
    if reason := weakness(password, email, first_name, last_name):
        raise ApiError(S04, reason)


def info(user_id: int) -> AnyRow:
    """The user's own details.

    Raises:
        ApiError: A04, the user is gone.
    """
    found = fetch_one(select(User).where(User.c.id == user_id))
    if found is None:
        raise ApiError(A04)
    return found


def all_users() -> Sequence[AnyRow]:
    """Every user, with the number of living sessions, by email."""
    living = and_(RefreshToken.c.user_id == User.c.id, RefreshToken.c.expiry_date > now())
    columns = (User.c.id, User.c.email, User.c.first_name, User.c.last_name, User.c.ts, User.c.active)
    query = select(*columns, func.count(RefreshToken.c.id).label("sessions")).outerjoin(RefreshToken, living)
    return fetch_all(query.group_by(*columns).order_by(User.c.email))


def find_user(email: str) -> AnyRow | None:
    """The user with this email."""
    return fetch_one(select(User).where(User.c.email == email))


@transaction
def set_active(user_id: int, active: bool) -> None:
    """Let a user in, or keep them out and end every session of theirs."""
    execute(update(User).where(User.c.id == user_id).values(active=active))
    if not active:
        _delete_sessions(RefreshToken.c.user_id == user_id)


def set_password(user: AnyRow, password: str) -> None:
    """Give a user another password, as the operator, and end every session of theirs.

    Raises:
        ApiError: S04.
    """
    _check_new_password(password, password, user.email, user.first_name, user.last_name)
    _replace_password(user.id, _hasher().hash(password))
    security_event("password_changed", user_id=user.id, by="operator")


@transaction
def _replace_password(user_id: int, stored: PasswordHash) -> None:
    execute(update(User).where(User.c.id == user_id).values(password=stored.password, password_salt=stored.salt))
    _delete_sessions(RefreshToken.c.user_id == user_id)


# --- opening a session -----------------------------------------------------------------------------------


def log_in(email: str, password: str, device: Device) -> OpenSession:
    """Open a session.

    Raises:
        ApiError: L02 for an unknown email, a wrong password and an inactive user alike; RATE_LIMITED.
    """
    email = email.rstrip(" ")  # SQL Server does not tell them apart, and no counter shall
    user = find_user(email)
    account = (user.email if user else email).casefold()
    _refuse_guessing(account, user, device)
    stored = PasswordHash(user.password, user.password_salt) if user else None
    hasher = _hasher()
    good = hasher.verify(password, stored)
    if user is None or stored is None or not good or not user.active:
        count_wrong_password(account, device.ip_address)
        security_event("login_failed", user_id=user.id if user else None)
        raise ApiError(L02)
    rewritten = stored if hasher.is_current(stored) else hasher.hash(password)
    opened, surplus = _open_after_login(user, stored, rewritten, device)
    if opened is None:
        security_event("login_failed", user_id=user.id)
        raise ApiError(L02)
    for session_id in surplus:
        security_event("session_ended", reason="max_sessions", user_id=user.id, session_id=session_id)
    security_event("login_ok", user_id=user.id, session_id=opened.session_id)
    with suppress(SQLAlchemyError):  # housekeeping is no reason to refuse a login
        purge(PURGED_AT_LOGIN)
    return opened


def change_password(
    user_id: int, *, current_password: str, new_password: str, confirm_password: str, device: Device
) -> OpenSession:
    """Change the password, end every session of the user and open a new one.

    Raises:
        ApiError: S03, S04, P01 wrong current password, A04 the row changed meanwhile, RATE_LIMITED.
    """
    user = fetch_one(select(User).where(User.c.id == user_id))
    if user is None:
        raise ApiError(A04)
    _check_new_password(new_password, confirm_password, user.email, user.first_name, user.last_name)
    account = user.email.casefold()
    _refuse_guessing(account, user, device)
    stored = PasswordHash(user.password, user.password_salt)
    hasher = _hasher()
    if not hasher.verify(current_password, stored):
        count_wrong_password(account, device.ip_address)
        security_event("password_change_failed", user_id=user_id)
        raise ApiError(P01)
    opened = _open_after_password_change(user, stored, hasher.hash(new_password), device)
    if opened is None:
        raise ApiError(A04)
    security_event("password_changed", user_id=user_id, session_id=opened.session_id)
    return opened


def _refuse_guessing(account: str, user: AnyRow | None, device: Device) -> None:
    def signed_in_here() -> bool:
        if user is None or device.ip_address is None:
            return False
        here = (RefreshToken.c.ip_address == device.ip_address, RefreshToken.c.expiry_date > now())
        return fetch_one(select(RefreshToken.c.id).where(RefreshToken.c.user_id == user.id, *here)) is not None

    refuse_guessing(account, device.ip_address, signed_in_here)


@transaction
def _open_after_login(
    user: AnyRow, verified: PasswordHash, stored: PasswordHash, device: Device
) -> tuple[OpenSession | None, list[uuid.UUID]]:
    if not _lock_user(user.id, verified, stored):
        return None, []
    surplus = _make_room(user.id)
    return _insert_session(user, device), surplus


@transaction
def _open_after_password_change(
    user: AnyRow, verified: PasswordHash, stored: PasswordHash, device: Device
) -> OpenSession | None:
    if not _lock_user(user.id, verified, stored):
        return None
    _delete_sessions(RefreshToken.c.user_id == user.id)
    return _insert_session(user, device)


def _lock_user(user_id: int, verified: PasswordHash, stored: PasswordHash) -> bool:
    # The first statement of the transaction. It fails when the password was changed since it was verified,
    # and its row lock makes the logins of one user wait for each other: that is what keeps max_sessions.
    statement = (
        update(User)
        .where(User.c.id == user_id, User.c.active, User.c.password == verified.password)
        .values(password=stored.password, password_salt=stored.salt)
    )
    return execute(statement) == 1


def _make_room(user_id: int) -> list[uuid.UUID]:
    """Delete the sessions that ran out and those that are too many; return the latter."""
    moment = now()
    rows = fetch_all(select(RefreshToken).where(RefreshToken.c.user_id == user_id))
    # The original's rows have never been used here, so they go first.
    living = [row for row in rows if row.expiry_date > moment]
    living.sort(key=lambda row: (row.started_at is not None, _last_used(row)))
    surplus = [row.session_id for row in living[: max(0, len(living) - settings.max_sessions + 1)]]
    doomed = [row.session_id for row in rows if row.expiry_date <= moment] + surplus
    for start in range(0, len(doomed), 1000):  # a statement takes at most 2,100 parameters
        _delete_sessions(RefreshToken.c.session_id.in_(doomed[start : start + 1000]))
    return surplus


def _insert_session(user: AnyRow, device: Device) -> OpenSession:
    session_id, salt, moment = uuid.uuid4(), tokens.new_salt(), now()
    token = _keyring().make(session_id, 0, salt)
    execute(
        insert(RefreshToken).values(
            user_id=user.id,
            token_hash=tokens.token_hash(token, salt),
            token_salt=salt,
            ts=moment,
            expiry_date=_expiry(moment, moment),
            session_id=session_id,
            counter=0,
            started_at=moment,
            user_agent=device.user_agent or null(),
            ip_address=device.ip_address or null(),
        )
    )
    return OpenSession(user.id, user.first_name, session_id, str(token))


def _expiry(started_at: datetime, moment: datetime) -> datetime:
    sliding = moment + timedelta(days=settings.refresh_token_days)
    return min(sliding, started_at + timedelta(days=settings.session_max_days))


# --- refreshing ------------------------------------------------------------------------------------------


def refresh(text: str, user_id: int, device: Device) -> OpenSession:
    """Answer a refresh token with the session's current one.

    Args:
        text: the refresh token.
        user_id: whose it should be, 0 if the client does not say.
        device: where the request came from.

    Raises:
        ApiError: INVALID_GRANT.
    """
    # Not ours, or made up: nothing changes, so that nobody can end a session without having held its token.
    try:
        token = tokens.decode(text)
    except ValueError:
        _refuse("malformed")
    row = _session(token)
    if row is None:
        _refuse("unknown_session", session_id=token.session_id)
    facts = {"user_id": row.user_id, "session_id": row.session_id}
    if user_id and user_id != row.user_id:
        _refuse("other_user", **facts)

    # The session ran out, or its user was deactivated.
    moment = now()
    oldest = moment - timedelta(days=settings.session_max_days)
    if row.expiry_date <= moment or _started(row) <= oldest or not row.active:
        _refuse("session_over", **facts)

    # The current token, as nearly always. Of simultaneous requests one wins the compare-and-swap; the others
    # read again and find themselves in the next case.
    if token.counter == row.counter:
        if not tokens.has_hash(token, row.token_salt, row.token_hash):
            _refuse("other_hash", **facts)
        successor = _keyring().make(row.session_id, row.counter + 1, row.token_salt)
        if _rotate(row, successor, device):
            return OpenSession(row.user_id, row.first_name, row.session_id, str(successor))
        row = _session(token)
        if row is None:
            _refuse("session_over", **facts)

    # The token before: a second tab, or a client that never saw the answer. It gets the same successor, while
    # the window is open; afterwards it is as old as any other.
    if token.counter == row.counter - 1 and _in_retry_window(row):
        known = _keyring().find(row.session_id, row.counter, row.token_salt, row.token_hash)
        if known is None:
            _refuse("other_hash", **facts)
        security_event("refresh_retried", **facts)
        return OpenSession(row.user_id, row.first_name, row.session_id, str(known))

    # An older token: two parties hold copies, and one of them stole it. A newer one: the database was restored
    # from a backup, and nobody can tell any more. Nobody keeps the session.
    _delete_sessions(RefreshToken.c.session_id == row.session_id)
    security_event("refresh_replayed", counter=token.counter, current=row.counter, **facts)
    security_event("session_ended", reason="replay", **facts)
    raise ApiError(INVALID_GRANT)


def _refuse(reason: str, **facts: object) -> NoReturn:
    security_event("refresh_refused", reason=reason, **facts)
    raise ApiError(INVALID_GRANT)


def _session(token: Token) -> AnyRow | None:
    """The session of ``token``, if one of our keys made the token."""
    row = fetch_one(_SESSION_AND_USER, {"session_id": token.session_id})
    return row if row is not None and _keyring().made(token, row.token_salt) else None


def _in_retry_window(row: AnyRow) -> bool:
    window = settings.refresh_retry_seconds
    if not window or row.rotated_at is None:
        return False
    return bool(now() - row.rotated_at <= timedelta(seconds=window))  # a rotation in the future is now: clocks differ


def _rotate(row: AnyRow, successor: Token, device: Device) -> bool:
    """Compare and swap: whether the row still had the counter that was read."""
    moment = now()
    read = {"of_session": row.session_id, "read_counter": row.counter, "read_hash": row.token_hash}
    written = {
        "counter": successor.counter,
        "token_hash": tokens.token_hash(successor, row.token_salt),
        "expiry_date": _expiry(_started(row), moment),
        "rotated_at": moment,
        "agent": device.user_agent or "",
        "address": device.ip_address or "",
    }
    return execute(_COMPARE_AND_SWAP, read | written) == 1


# --- ending sessions -------------------------------------------------------------------------------------


def log_out(text: str) -> None:
    """End the session of a refresh token, current or used; any other text changes nothing (RFC 7009)."""
    try:
        token = tokens.decode(text)
    except ValueError:
        return
    row = _session(token)
    if row is not None and _delete_sessions(RefreshToken.c.session_id == row.session_id):
        security_event("session_ended", reason="logout", user_id=row.user_id, session_id=row.session_id)


def end_session(user_id: int, session_id: uuid.UUID, reason: str) -> None:
    """End one session of the user.

    Raises:
        ApiError: NOT_FOUND, for a session that does not exist and for somebody else's.
    """
    if not _delete_sessions(RefreshToken.c.session_id == session_id, RefreshToken.c.user_id == user_id):
        raise ApiError(NOT_FOUND, "You have no such session.")
    security_event("session_ended", reason=reason, user_id=user_id, session_id=session_id)


def end_all_sessions(user_id: int) -> None:
    """End every session of the user."""
    count = _delete_sessions(RefreshToken.c.user_id == user_id)
    security_event("session_ended", reason="all_signed_out", user_id=user_id, count=count)


def purge(most: int) -> int:
    """Delete sessions that ran out, anybody's, and return how many.

    Args:
        most: no more than this many, so that nobody waits for the locks.
    """
    over = select(RefreshToken.c.id).where(RefreshToken.c.expiry_date <= now() - timedelta(minutes=1)).limit(most)
    return _delete_sessions(RefreshToken.c.id.in_(over))


def sessions(user_id: int, current: uuid.UUID) -> list[dict[str, object]]:
    """The user's living sessions, the most recently used first."""
    rows = fetch_all(select(RefreshToken).where(RefreshToken.c.user_id == user_id, RefreshToken.c.expiry_date > now()))
    return [
        {
            "session_id": row.session_id,
            "current": row.session_id == current,
            "started_at": _started(row),
            "last_used_at": _last_used(row),
            "expiry_date": row.expiry_date,
            "user_agent": row.user_agent,
            "ip_address": row.ip_address,
        }
        for row in sorted(rows, key=_last_used, reverse=True)
    ]


def _started(row: AnyRow) -> datetime:
    return cast(datetime, row.started_at or row.ts)


def _last_used(row: AnyRow) -> datetime:
    return max(_started(row), row.rotated_at or _started(row))


def _delete_sessions(*conditions: Any) -> int:
    return execute(delete(RefreshToken).where(*conditions))
