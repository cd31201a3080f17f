"""What a refresh token is worth: the cases of a refresh, and logging out with one."""

import uuid
from datetime import datetime, timedelta
from typing import NoReturn

from sqlalchemy import bindparam, select, update

from ..audit import security_event
from ..clock import now
from ..config import current_settings
from ..database.engine import AnyRow, execute, fetch_one
from ..errors import INVALID_GRANT, ApiError
from ..models import MAX_ID, refresh_tokens, users
from .answers import Answers
from .refresh_tokens import Token, decode, has_hash, token_hash
from .sessions import Device, OpenSession, end_session, expiry, keyring, started_at

session, user = refresh_tokens.c, users.c

# Built once: building a statement takes longer than executing it.
_SESSION_AND_USER = (
    select(refresh_tokens, user.first_name, user.active)
    .join(users, user.id == session.user_id)
    .where(session.session_id == bindparam("session_id"))
)
_COMPARE_AND_SWAP = update(refresh_tokens).where(
    session.session_id == bindparam("of_session"),
    session.counter == bindparam("read_counter"),
    session.token_hash == bindparam("read_hash"),
    session.used_counter <= bindparam("used_at_most"),
)


class OtherUserError(ApiError):
    """The refresh token may be good, but it is not the user's who is named."""


def refresh(text: str, user_id: int, device: Device) -> OpenSession:
    """Answer a refresh token with the session's current one.

    Args:
        text: the refresh token.
        user_id: whose it should be, 0 if the client does not say.
        device: where the request came from.

    Raises:
        ApiError: INVALID_GRANT; OtherUserError, if the token is good for somebody else.
    """
    # Not ours, or made up: nothing changes, so that nobody can end a session without having held its token.
    try:
        token = decode(text)
    except ValueError:
        _refuse("malformed")
    row = _session_of(token)
    if row is None:
        _refuse("unknown_session", session_id=token.session_id)
    facts = {"user_id": row.user_id, "session_id": row.session_id}
    if user_id and user_id != row.user_id:
        security_event("refresh_refused", reason="other_user", **facts)
        raise OtherUserError(INVALID_GRANT)

    # The session ran out, or its user was deactivated.
    moment = now()
    oldest = moment - timedelta(days=current_settings.session_max_days)
    if row.expiry_date <= moment or started_at(row) <= oldest or not row.active:
        _refuse("session_over", **facts)

    # The current token, as nearly always. Of simultaneous requests one wins the compare-and-swap; the others
    # are judged again, and find themselves in the next case.
    answers = Answers.of(row)
    if token.counter == answers.counter:
        if not has_hash(token, row.token_salt, row.token_hash):
            _refuse("other_hash", **facts)
        opened = _rotate(row, answers.rotated(), device)
        return opened or refresh(text, user_id, device)

    # The token before, a moment ago: a second tab that refreshed at once. Both get the same successor.
    age = _seconds_since_rotation(row)
    window = current_settings.refresh_retry_seconds
    if token.counter == answers.parent and window and age <= window:
        known = keyring().find(row.session_id, row.counter, row.token_salt, row.token_hash)
        if known is None:
            _refuse("other_hash", **facts)
        security_event("refresh_retried", reason="tab", age=round(age), **facts)
        return _opened(row, known, row.expiry_date)

    # The same, later, and nothing of the current answer was ever used: a train went into a tunnel, a lid was
    # closed, an app was killed before it could store the answer. The client gets another one, and the answer that
    # was lost is void. If it was not lost, somebody else has it, and the first who acts with it ends the session.
    again = answers.answered_again()
    if token.counter == answers.parent and window and answers.is_unused and again:
        opened = _rotate(row, again, device, used_at_most=answers.counter - 1)
        if opened:
            security_event("refresh_retried", reason="lost_answer", age=round(age), **facts)
        return opened or refresh(text, user_id, device)

    # A void token, an older one, or the parent's when its answer was used: two parties hold copies, and one of them
    # stole it. A newer one than the row knows: the database was restored from a backup, and nobody can tell any
    # more. Nobody keeps the session.
    reason = "void_used" if answers.is_void(token.counter) else "replay"
    end_session(row.user_id, row.session_id, reason)
    security_event("refresh_replayed", counter=token.counter, current=row.counter, **facts)
    raise ApiError(INVALID_GRANT)


def log_out(text: str) -> uuid.UUID | None:
    """End the session of a refresh token, current or used; any other text changes nothing (RFC 7009).

    Returns:
        Which session that was.
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
    """The session of ``token``, if one of our keys made the token."""
    row = fetch_one(_SESSION_AND_USER, {"session_id": token.session_id})
    return row if row is not None and keyring().made(token, row.token_salt) else None


def _seconds_since_rotation(row: AnyRow) -> float:
    # A rotation in the future is now: clocks differ. A row without one was never rotated, and has no parent.
    return max(0.0, (now() - (row.rotated_at or started_at(row))).total_seconds())


def _opened(row: AnyRow, token: Token, expires_at: datetime) -> OpenSession:
    return OpenSession(
        row.user_id, row.first_name, row.session_id, expires_at, token.counter, str(token)
    )


def _rotate(
    row: AnyRow, answers: Answers, device: Device, used_at_most: int = MAX_ID
) -> OpenSession | None:
    """Compare and swap: the session's next answer, if the row is still as it was read."""
    moment = now()
    successor = keyring().make(row.session_id, answers.counter, row.token_salt)
    expires_at = expiry(started_at(row), moment)
    changes = {
        "of_session": row.session_id,
        "read_counter": row.counter,
        "read_hash": row.token_hash,
        "used_at_most": used_at_most,
        "counter": answers.counter,
        "void_answers": answers.void,
        "void_counter": answers.counter,
        "token_hash": token_hash(successor, row.token_salt),
        "expiry_date": expires_at,
        "rotated_at": moment,
        "user_agent": device.user_agent,
        "ip_address": device.ip_address,
    }
    if not execute(_COMPARE_AND_SWAP, changes):
        return None
    return _opened(row, successor, expires_at)
