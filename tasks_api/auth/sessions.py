"""Sessions: one row of RefreshToken is one device that is signed in."""

import uuid
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple, cast

from sqlalchemy import and_, delete, func, insert, select

from ..audit import security_event
from ..clock import current_minute, now
from ..config import current_settings
from ..database.engine import AnyRow, execute, fetch_all
from ..database.tables import SESSION, USER, session_table, user_table
from .keys import current_keys
from .refresh_tokens import Keyring, new_salt, token_hash


class Device(NamedTuple):
    """The user agent and the IP address of a request. An empty text is unknown."""

    user_agent: str
    ip_address: str


class NewPair(NamedTuple):
    """A pair of tokens: the refresh token, and what the access token will say."""

    user_id: int
    first_name: str
    session_id: uuid.UUID
    expires_at: datetime
    counter: int
    refresh_token: str


def keyring() -> Keyring:
    """Return the server keys of refresh tokens."""
    return Keyring(current_keys().of_refresh_tokens)


def network_of(address: str | None) -> str:
    """Return the IPv4 address, or the /64 of an IPv6 address, which belongs to one subscriber.

    Without a valid address it is an empty text.
    """
    try:
        known = ip_address(address or "")
    except ValueError:
        return ""
    return str(ip_network((known, 64), strict=False)) if known.version == 6 else str(known)


def is_void(session: AnyRow, counter: int) -> bool:
    """Return True if the pair of tokens with this counter is void: presumed lost and replaced. Pair 0 never is."""
    return bool(0 < session.first_void <= counter <= session.last_void)


def delete_surplus(user_id: int, newest: uuid.UUID) -> list[uuid.UUID]:
    """Delete the user's expired sessions, then the least recently used ones above max_sessions.

    Args:
        user_id: the user.
        newest: the session that has just been opened. It stays, even if the clock of another machine is ahead.

    Returns:
        The ids of those that had not expired.
    """
    # The .NET original leaves both times NULL. NULLs sort last, so its rows are deleted first.
    last_used = func.coalesce(SESSION.rotated_at, SESSION.started_at)
    minute = current_minute()
    others = and_(SESSION.user_id == user_id, SESSION.session_id != newest)
    kept = (
        select(SESSION.id)
        .where(others, SESSION.expiry_date > minute)
        .order_by(last_used.desc(), SESSION.id.desc())
        .limit(current_settings.max_sessions - 1)
    )
    deletion = delete(session_table).where(others, SESSION.id.not_in(kept))
    deleted = fetch_all(deletion.returning(SESSION.session_id, SESSION.expiry_date))
    return [row.session_id for row in deleted if row.expiry_date > minute]


def open_session(user: AnyRow, device: Device) -> NewPair:
    """Insert a session and make its first refresh token."""
    session_id, salt, moment = uuid.uuid4(), new_salt(), now()
    token = keyring().make(session_id, 0, salt)
    expires_at = expiry(moment, moment)
    execute(
        insert(session_table).values(
            user_id=user.id,
            token_hash=token_hash(token, salt),
            token_salt=salt,
            ts=moment,
            expiry_date=expires_at,
            session_id=session_id,
            counter=0,
            started_at=moment,
            user_agent=device.user_agent,
            ip_address=device.ip_address,
        )
    )
    return NewPair(user.id, user.first_name, session_id, expires_at, 0, str(token))


def expiry(started: datetime, used: datetime) -> datetime:
    """Return when a session ends: the earlier of ``used`` + refresh_token_days and ``started`` + session_max_days."""
    sliding = used + timedelta(days=current_settings.refresh_token_days)
    return min(sliding, started + timedelta(days=current_settings.session_max_days))


def started_at(row: AnyRow) -> datetime:
    """Return when the session was opened. Rows of the .NET original have only TS."""
    return cast(datetime, row.started_at or row.ts)


def last_used_at(row: AnyRow) -> datetime:
    """Return when the session was opened or last refreshed."""
    return max(started_at(row), row.rotated_at or started_at(row))


def is_signed_in_at(email: str, network: str) -> bool:
    """Return True if the user with this email has an active session at this network (see ``network_of``)."""
    query = (
        select(SESSION.ip_address)
        .join(user_table, USER.id == SESSION.user_id)
        .where(USER.email == email, SESSION.expiry_date > current_minute())
    )
    return any(network_of(row.ip_address) == network for row in fetch_all(query))


def list_sessions(user_id: int, current: uuid.UUID) -> list[dict[str, object]]:
    """Return the user's active sessions, the most recently used first."""
    rows = fetch_all(
        select(session_table).where(
            SESSION.user_id == user_id, SESSION.expiry_date > current_minute()
        )
    )
    return [
        {
            "session_id": row.session_id,
            "current": row.session_id == current,
            "started_at": started_at(row),
            "last_used_at": last_used_at(row),
            "expiry_date": row.expiry_date,
            "user_agent": row.user_agent or None,
            "ip_address": row.ip_address or None,
        }
        for row in sorted(rows, key=last_used_at, reverse=True)
    ]


def end_session(
    user_id: int, session_id: uuid.UUID, reason: str, counter: int | None = None
) -> bool:
    """End one session of the user; with ``counter`` only if this is still its Counter. Return whether it ended."""
    conditions = [SESSION.session_id == session_id, SESSION.user_id == user_id]
    if counter is not None:
        conditions.append(SESSION.counter == counter)
    ended = _delete(*conditions)
    if ended:
        security_event("session_ended", reason=reason, user_id=user_id, session_id=session_id)
    return bool(ended)


def end_all_sessions(user_id: int) -> set[uuid.UUID]:
    """End all sessions of the user and return their ids."""
    ended = delete_all(user_id)
    security_event("session_ended", reason="all_signed_out", user_id=user_id, count=len(ended))
    return ended


def delete_all(user_id: int) -> set[uuid.UUID]:
    """Delete all sessions of the user, without a security event, and return their ids."""
    deletion = delete(session_table).where(SESSION.user_id == user_id)
    return {row.session_id for row in fetch_all(deletion.returning(SESSION.session_id))}


def purge(limit: int) -> int:
    """Delete expired sessions of all users and return how many.

    Args:
        limit: how many to delete at most, so that other requests do not wait long for the locks.
    """
    # A margin for clocks that differ and for running refreshes.
    moment = now() - timedelta(minutes=1)
    expired = select(SESSION.id).where(SESSION.expiry_date <= moment).limit(limit)
    return _delete(SESSION.id.in_(expired))


def _delete(*conditions: Any) -> int:
    return execute(delete(session_table).where(*conditions))
