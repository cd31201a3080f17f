"""The refresh, in six cases, and the logout. docs/tokens.md explains the rule.

Every login and every refresh returns a pair of tokens. Its number is the row's Counter; the newest pair is current.
The parent is the refresh token that was exchanged for the current pair. A pair is void if it was presumed lost and
replaced.
"""

import uuid
from datetime import datetime
from typing import NoReturn

from sqlalchemy import bindparam, select, update

from ..audit import security_event
from ..clock import now
from ..config import current_settings
from ..database.engine import AnyRow, execute, fetch_one
from ..database.tables import MAX_ID, SESSION, USER, session_table, user_table
from ..errors import INVALID_GRANT, ApiError
from .refresh_tokens import Token, decode, has_hash, token_hash
from .sessions import (
    Device,
    NewPair,
    end_session,
    expiry,
    is_void,
    keyring,
    network_of,
    started_at,
)

_SESSION_AND_USER = (
    select(session_table, USER.first_name, USER.active)
    .join(user_table, USER.id == SESSION.user_id)
    .where(SESSION.session_id == bindparam("session_id"))
)
# The parameters cannot have the names of the columns that are set.
_COMPARE_AND_SWAP = update(session_table).where(
    SESSION.session_id == bindparam("of_session"),
    SESSION.counter == bindparam("expected_counter"),
    SESSION.token_hash == bindparam("expected_hash"),
    SESSION.used_counter <= bindparam("max_used"),
)


def refresh(text: str, user_id: int, device: Device) -> NewPair:
    """Answer a refresh token with the session's next pair of tokens.

    Args:
        text: the refresh token.
        user_id: the user whose token it should be; 0 if the client does not say.
        device: where the request came from.

    Raises:
        ApiError: INVALID_GRANT.
    """
    # 1. Not a token of ours, or not of this user. Nothing changes: a forged token must not end a session.
    try:
        token = decode(text)
    except ValueError:
        _refuse("malformed")
    row = _session_of(token)
    if row is None:
        _refuse("unknown_session", session_id=token.session_id)
    facts = {"user_id": row.user_id, "session_id": row.session_id}
    if user_id not in (0, row.user_id):
        _refuse("other_user", **facts)

    # 2. The session has expired, or its user was deactivated.
    moment = now()
    ends = min(row.expiry_date, expiry(started_at(row), moment))  # the settings may have changed
    if ends <= moment or not row.active:
        _refuse("session_over", **facts)

    # 3. The current token: nearly every refresh. Of simultaneous requests one wins the compare-and-swap. The others
    # start again; from the same address they reach case 4.
    if token.counter == row.counter:
        if not has_hash(token, row.token_salt, row.token_hash):
            _refuse("other_hash", **facts)
        pair = _rotate(row, device)
        return pair or refresh(text, user_id, device)

    window = current_settings.refresh_retry_seconds
    age = (moment - (row.rotated_at or started_at(row))).total_seconds()  # below 0: clocks differ
    network = network_of(device.ip_address)
    is_same_network = network != "" and network == network_of(row.ip_address)

    # 4. A second tab that refreshed at the same time, or a request that the network delivered late. Return the current
    # pair again for the parent. Refuse an older token, but keep the session.
    if window and age <= window and is_same_network and token.counter < row.counter:
        if token.counter != _parent_counter(row):
            _refuse("late", **facts)
        current = keyring().remake(row.session_id, row.counter, row.token_salt, row.token_hash)
        if current is None:
            _refuse("other_hash", **facts)
        security_event("refresh_retried", reason="tab", age=round(age), **facts)
        return _new_pair(row, current, row.expiry_date)

    # 5. A lost answer: a train entered a tunnel, a lid was closed, an app was killed before it stored the tokens. Make
    # another pair for the parent; the lost one becomes void. If a thief has it, his first use ends the session.
    if window and token.counter == _parent_counter(row) and row.used_counter < row.counter:
        pair = _rotate(row, device, is_lost=True)
        if pair:
            security_event("refresh_retried", reason="lost_answer", age=round(age), **facts)
        return pair or refresh(text, user_id, device)

    # 6. Theft: two parties hold tokens of this session. (Or the database was restored from a backup, and the token is
    # newer than the row.) End the session for both.
    reason = "void_used" if is_void(row, token.counter) else "replay"
    if not end_session(row.user_id, row.session_id, reason, row.counter):
        return refresh(text, user_id, device)  # the row changed meanwhile
    security_event("refresh_replayed", counter=token.counter, current=row.counter, **facts)
    raise ApiError(INVALID_GRANT)


def log_out(text: str) -> uuid.UUID | None:
    """End the session of a genuine refresh token, also of an older one. Ignore other texts (RFC 7009).

    Returns:
        The id of the session that ended.
    """
    try:
        token = decode(text)
    except ValueError:
        return None
    row = _session_of(token)
    if row is None:
        return None
    end_session(row.user_id, row.session_id, "logout")
    return token.session_id


def _refuse(reason: str, **facts: object) -> NoReturn:
    security_event("refresh_refused", reason=reason, **facts)
    raise ApiError(INVALID_GRANT)


def _session_of(token: Token) -> AnyRow | None:
    """Return the token's session with its user, if one of our keys made the token."""
    row = fetch_one(_SESSION_AND_USER, {"session_id": token.session_id})
    return row if row is not None and keyring().verifies(token, row.token_salt) else None


def _parent_counter(row: AnyRow) -> int:
    """Return the counter before the current pair and the void pairs just before it; -1 for pair 0."""
    follows_void_pairs = row.last_void > 0 and row.last_void == row.counter - 1
    return int(row.first_void if follows_void_pairs else row.counter) - 1


def _rotate(row: AnyRow, device: Device, *, is_lost: bool = False) -> NewPair | None:
    """Make the next pair if the row is still as it was read (compare-and-swap).

    Args:
        row: the session.
        device: where the request came from.
        is_lost: make the current pair void, if it is still unused.
    """
    moment = now()
    successor = keyring().make(row.session_id, row.counter + 1, row.token_salt)
    expires_at = expiry(started_at(row), moment)
    first_void, last_void = row.first_void, row.last_void
    if is_lost:
        first_void, last_void = _parent_counter(row) + 1, row.counter
    changes = {
        "of_session": row.session_id,
        "expected_counter": row.counter,
        "expected_hash": row.token_hash,
        # A lost pair must still be unused.
        "max_used": row.counter - 1 if is_lost else MAX_ID,
        "counter": successor.counter,
        "first_void": first_void,
        "last_void": last_void,
        "token_hash": token_hash(successor, row.token_salt),
        "expiry_date": expires_at,
        "rotated_at": moment,
        "user_agent": device.user_agent,
        "ip_address": device.ip_address,
    }
    return _new_pair(row, successor, expires_at) if execute(_COMPARE_AND_SWAP, changes) else None


def _new_pair(row: AnyRow, token: Token, expires_at: datetime) -> NewPair:
    return NewPair(
        row.user_id, row.first_name, row.session_id, expires_at, token.counter, str(token)
    )
