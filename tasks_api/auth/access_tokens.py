"""Access tokens: issued and verified with flask-jwt-extended, accepted only while their session is active."""

import logging
import re
import uuid
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast

from flask import Flask, current_app, g, request
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import ExpiredSignatureError, InvalidSignatureError, PyJWTError
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from ..audit import security_event
from ..clock import current_minute, now
from ..config import Settings
from ..database.engine import execute_without_waiting, fetch_one
from ..database.tables import MAX_ID, SESSION, USER, session_table, user_table
from ..errors import A01, A02, A03, A04, ApiError
from ..web.blueprint import Guard
from .keys import Keys
from .sessions import NewPair, end_session, is_void

log = logging.getLogger(__name__)

CLOCK_SKEW_SECONDS = 5  # how far the clocks of two machines may differ
MAX_REMEMBERED = 4096  # verified tokens in a process's memory
_USER_ID = re.compile("[1-9][0-9]*")
_CLAIMS = {"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "type"}

_ACTIVE_SESSION = (
    select(
        SESSION.counter,
        SESSION.used_counter,
        SESSION.first_void,
        SESSION.last_void,
    )
    .join(user_table, USER.id == SESSION.user_id)
    .where(
        SESSION.session_id == bindparam("session_id"),
        SESSION.user_id == bindparam("user_id"),
        SESSION.expiry_date > bindparam("minute"),
        USER.active,
    )
)

_SET_USED_COUNTER = (
    update(session_table)
    .with_hint("WITH (NOWAIT)", dialect_name="mssql")
    .where(
        SESSION.session_id == bindparam("of_session"),
        SESSION.counter == bindparam("used"),
        SESSION.used_counter < bindparam("used"),
    )
    .values(used_counter=bindparam("used"))
)


class Caller(NamedTuple):
    """Who sent the request, as its access token says."""

    user_id: int
    session_id: uuid.UUID
    counter: int | None  # the claim ctr; None: the token has none


def init_access_tokens(app: Flask, settings: Settings, keys: Keys) -> None:
    """Configure flask-jwt-extended: algorithms, issuer, audience, lifetime, and keys by ``kid``."""
    by_kid = {key.kid: key for key in keys.of_access_tokens}
    newest = keys.of_access_tokens[0]
    own, *others = settings.jwt_audience
    app.config.update(
        JWT_ALGORITHM=newest.algorithm,
        JWT_DECODE_ALGORITHMS=sorted({key.algorithm for key in by_kid.values()}),
        JWT_ENCODE_ISSUER=settings.jwt_issuer,
        JWT_DECODE_ISSUER=settings.jwt_issuer,
        JWT_ENCODE_AUDIENCE=settings.jwt_audience if others else own,
        JWT_DECODE_AUDIENCE=own,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=settings.access_token_seconds),
        JWT_DECODE_LEEWAY=CLOCK_SKEW_SECONDS,
        JWT_COOKIE_CSRF_PROTECT=False,  # access tokens come in a header, never in a cookie
    )
    manager = JWTManager(app)
    manager.encode_key_loader(lambda _identity: newest.signing)
    manager.additional_headers_loader(lambda _identity: {"kid": newest.kid})

    @manager.decode_key_loader
    def verification_key(header: dict[str, Any], claims: dict[str, Any]) -> Any:
        # Check this here, because flask-jwt-extended adds the claim type later if it is missing.
        if not claims.keys() >= _CLAIMS:
            raise PyJWTError("claims are missing")
        key = by_kid.get(header.get("kid", ""))
        # The key decides on the algorithm, never the token (RFC 8725, section 3.1).
        if key is None or header.get("alg") != key.algorithm:
            raise PyJWTError("unknown kid, or not its algorithm")
        return key.verifying

    # Cache verified tokens: a client sends the same one for minutes, and verifying a signature takes as long as two SQL
    # statements. Expiry and session are checked in every request.
    app.extensions["decode"] = lru_cache(MAX_REMEMBERED)(decode_token)


def issue(pair: NewPair) -> str:
    """Return a new access token for the session."""
    claims = {"sid": str(pair.session_id), "ctr": pair.counter}
    return str(create_access_token(str(pair.user_id), additional_claims=claims))


def caller() -> Caller:
    """Return who sent this request."""
    return cast(Caller, g.caller)


def authenticate() -> None:
    """Let the request in if it has a valid access token of an active session. Then ``caller()`` says whose.

    flask-jwt-extended's ``jwt_required`` would verify each token again, and it wants "Bearer" in this case, although
    schemes have no case (RFC 9110, section 11.1).

    Raises:
        ApiError: A01 to A04.
    """
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ApiError(A01)
    found = _verified(token.strip())
    _check_session(found)
    g.caller = found


signed_in = Guard(authenticate, (A01, A02, A03, A04))


def _verified(token: str) -> Caller:
    try:
        claims = current_app.extensions["decode"](token)
        subject, counter = claims["sub"], claims.get("ctr")
        if claims["type"] != "access" or not isinstance(counter, int | None):
            raise PyJWTError("not an access token")
        if not _USER_ID.fullmatch(subject):
            raise PyJWTError("not a user id")
        if claims["exp"] <= now().timestamp():  # the leeway is only for nbf and iat
            raise ExpiredSignatureError
        return Caller(int(subject), uuid.UUID(claims["sid"]), counter)
    except ExpiredSignatureError:
        raise ApiError(A02) from None
    except InvalidSignatureError:
        security_event("access_token_forged")
        raise ApiError(A03) from None
    except (  # a claim of a wrong type, or JSON that is nested too deep, raises any of the last four
        PyJWTError,
        JWTExtendedException,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ):
        security_event("access_token_refused")
        raise ApiError(A03) from None


def _check_session(token: Caller) -> None:
    # Read the session in every request, so that a logout takes effect at once.
    values = {
        "session_id": token.session_id,
        "user_id": token.user_id,
        "minute": current_minute(),
    }
    session = fetch_one(_ACTIVE_SESSION, values) if token.user_id <= MAX_ID else None
    if session is None:
        raise ApiError(A04)
    if token.counter is None:
        return

    # The token is of a void pair, or of a pair that a restored database does not know.
    is_pair_void = is_void(session, token.counter)
    if is_pair_void or token.counter > session.counter:
        end_session(token.user_id, token.session_id, "void_used" if is_pair_void else "replay")
        raise ApiError(A04)

    # The row does not know any more whether this old pair was void. Answer A02, on which a client refreshes.
    if token.counter < session.first_void - 1:
        raise ApiError(A02)

    # The first use of the current pair: record that the client has received it.
    if session.used_counter < token.counter == session.counter:
        try:
            values = {"of_session": token.session_id, "used": token.counter}
            is_written = execute_without_waiting(_SET_USED_COUNTER, values)
        except SQLAlchemyError as error:  # the row is locked, or the database is read-only
            log.warning(
                "UsedCounter could not be written, the next request tries again: %s", error
            )
            return
        if not is_written:  # the session was refreshed or used meanwhile
            _check_session(token)
