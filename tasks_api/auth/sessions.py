"""Sessions: one row of RefreshToken is one device that is signed in."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import delete, insert, select

from ..attempts import client_of
from ..audit import security_event
from ..clock import minute_begun, now
from ..config import current_settings
from ..database.engine import AnyRow, execute, fetch_all
from ..models import refresh_tokens
from .refresh_tokens import Keyring, new_salt, token_hash

session = refresh_tokens.c


class Device(NamedTuple):
    """Where a request came from, cut to the length of its columns; empty is unknown.

    Never None: as a parameter the driver would have to ask the server for its type.
    """

    user_agent: str
    ip_address: str


class OpenSession(NamedTuple):
    """A session, when it ends, its current answer's counter and refresh token."""

    user_id: int
    first_name: str
    session_id: uuid.UUID
    expires_at: datetime
    counter: int
    refresh_token: str


def keyring() -> Keyring:
    """The server's keys of refresh tokens."""
    return Keyring(current_settings.refresh_token_keys)


def make_room(user_id: int) -> list[uuid.UUID]:
    """Delete the user's sessions that ran out and those that are too many for one more.

    Returns:
        The ids of those that were too many, the least recently used ones.
    """
    moment = now()
    found = fetch_all(select(refresh_tokens).where(session.user_id == user_id))
    over = [row.session_id for row in found if row.expiry_date <= moment]
    living = [row for row in found if row.expiry_date > moment]
    # The original's rows have never been used here, so they go first.
    living.sort(key=lambda row: (row.started_at is not None, last_used_at(row)))
    too_many = max(0, len(living) - current_settings.max_sessions + 1)
    surplus = [row.session_id for row in living[:too_many]]
    doomed = over + surplus
    for start in range(0, len(doomed), 1000):  # a statement takes at most 2,100 parameters
        _delete(session.session_id.in_(doomed[start : start + 1000]))
    return surplus


def open_session(user: AnyRow, device: Device) -> OpenSession:
    """Insert a session and make its first refresh token."""
    session_id, salt, moment = uuid.uuid4(), new_salt(), now()
    token = keyring().make(session_id, 0, salt)
    expires_at = expiry(moment, moment)
    execute(
        insert(refresh_tokens).values(
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
    return OpenSession(user.id, user.first_name, session_id, expires_at, 0, str(token))


def expiry(started: datetime, moment: datetime) -> datetime:
    """When a session that is used at ``moment`` ends: the earlier of its sliding and its absolute end."""
    sliding = moment + timedelta(days=current_settings.refresh_token_days)
    return min(sliding, started + timedelta(days=current_settings.session_max_days))


def started_at(row: AnyRow) -> datetime:
    """When the session was opened, here or by the original."""
    return cast(datetime, row.started_at or row.ts)


def last_used_at(row: AnyRow) -> datetime:
    """When the session was opened or last refreshed."""
    return max(started_at(row), row.rotated_at or started_at(row))


def is_signed_in_at(user_id: int, client: str) -> bool:
    """Whether the user has a living session at this client's address, see ``attempts.client_of``."""
    addresses = (row.ip_address for row in _living(user_id))
    return client in {client_of(address) for address in addresses if address}


def list_sessions(user_id: int, current: uuid.UUID | None = None) -> list[dict[str, object]]:
    """The user's living sessions, the most recently used first."""
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
        for row in sorted(_living(user_id), key=last_used_at, reverse=True)
    ]


def end_session(user_id: int, session_id: uuid.UUID, reason: str) -> bool:
    """End one session of the user; whether there was one: somebody else's is as unknown as any."""
    ended = _delete(session.session_id == session_id, session.user_id == user_id) > 0
    if ended:
        security_event("session_ended", reason=reason, user_id=user_id, session_id=session_id)
    return ended


def end_all_sessions(user_id: int) -> None:
    """End every session of the user."""
    count = len(delete_all(user_id))
    security_event("session_ended", reason="all_signed_out", user_id=user_id, count=count)


def delete_all(user_id: int) -> set[uuid.UUID]:
    """Delete every session of the user, as a part of something that has an event of its own; their ids."""
    deletion = delete(refresh_tokens).where(session.user_id == user_id)
    return {row.session_id for row in fetch_all(deletion.returning(session.session_id))}


def purge(most: int) -> int:
    """Delete sessions that ran out, anybody's, and return how many.

    Args:
        most: no more than this many, so that nobody waits for the locks.
    """
    past = now() - timedelta(minutes=1)  # a refresh may be under way, and clocks differ
    over = select(session.id).where(session.expiry_date <= past).limit(most)
    return _delete(session.id.in_(over))


def _living(user_id: int) -> Sequence[AnyRow]:
    living = (session.user_id == user_id, session.expiry_date > minute_begun())
    return fetch_all(select(refresh_tokens).where(*living))


def _delete(*conditions: Any) -> int:
    return execute(delete(refresh_tokens).where(*conditions))
