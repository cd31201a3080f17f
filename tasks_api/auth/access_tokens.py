"""Access tokens: issued and checked with flask-jwt-extended, let in only while their session lives."""

import logging
import re
import uuid
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast

from flask import Flask, current_app, g, request
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import get_unverified_header
from jwt.exceptions import ExpiredSignatureError, InvalidSignatureError, PyJWTError
from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError

from ..audit import security_event
from ..clock import minute_begun, now
from ..config import Settings, current_settings
from ..database.engine import execute, fetch_one
from ..errors import A01, A02, A03, A04, ApiError
from ..models import MAX_ID, refresh_tokens, users
from .answers import Answers
from .sessions import OpenSession, end_session

session, user = refresh_tokens.c, users.c

log = logging.getLogger(__name__)

CLOCK_SKEW_SECONDS = 5  # how far the clocks of two machines may differ
REMEMBERED = 4096  # access tokens whose signature was good
_USER_ID = re.compile("[1-9][0-9]*")  # one spelling
_CLAIMS = {"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "type"}

_ALIVE = (
    select(session.counter, session.used_counter, session.void_answers, session.void_counter)
    .join(users, user.id == session.user_id)
    .where(
        session.session_id == bindparam("session_id"),
        session.user_id == bindparam("user_id"),
        session.expiry_date > bindparam("moment"),
        user.active,
    )
)

_USE = (
    update(refresh_tokens)
    .where(
        session.session_id == bindparam("of_session"),
        session.counter == bindparam("used"),
        session.used_counter < bindparam("used"),
    )
    .values(used_counter=bindparam("used"))
)


class Caller(NamedTuple):
    """Who sent a request, as its access token and its session say."""

    user_id: int
    session_id: uuid.UUID
    counter: int | None  # of the answer that brought the token; None: it is older than the claim


def init_access_tokens(app: Flask, settings: Settings) -> None:
    """Pin algorithms, issuer, audience and lifetime; choose keys by ``kid``."""
    keys = {key.kid: key for key in settings.token_keys}
    newest = settings.token_keys[0]
    app.config.update(
        JWT_ALGORITHM=newest.algorithm,
        JWT_DECODE_ALGORITHMS=sorted({key.algorithm for key in keys.values()}),
        JWT_ENCODE_ISSUER=settings.jwt_issuer,
        JWT_DECODE_ISSUER=settings.jwt_issuer,
        JWT_ENCODE_AUDIENCE=settings.jwt_audience,
        JWT_DECODE_AUDIENCE=settings.jwt_audience,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=settings.access_token_seconds),
        JWT_DECODE_LEEWAY=CLOCK_SKEW_SECONDS,
        JWT_COOKIE_CSRF_PROTECT=False,  # tokens travel in a header, never in a cookie
    )
    manager = JWTManager(app)

    manager.encode_key_loader(lambda _identity: newest.signing)
    manager.additional_headers_loader(lambda _identity: {"kid": newest.kid})

    @manager.decode_key_loader
    def verification_key(header: dict[str, Any], claims: dict[str, Any]) -> Any:
        # Here and not after verification, because flask-jwt-extended fills in a type that is missing.
        if not claims.keys() >= _CLAIMS:
            raise PyJWTError("claims are missing")
        key = keys.get(header.get("kid", ""))
        # The key decides the algorithm, never the token (RFC 8725, section 3.1).
        if key is None or header.get("alg") != key.algorithm:
            raise PyJWTError("unknown kid, or not its algorithm")
        return key.verifying

    # A client sends the same token for minutes, and a signature that was good stays good: checking it again costs
    # as much as both of a request's statements. Whether token and session still live is asked every time.
    app.extensions["decode"] = lru_cache(REMEMBERED)(decode_token)


def issue(opened: OpenSession) -> str:
    """A new access token for the session."""
    claims = {"sid": str(opened.session_id), "ctr": opened.counter}
    return str(create_access_token(str(opened.user_id), additional_claims=claims))


def caller() -> Caller:
    """Who sent this request."""
    return cast(Caller, g.caller)


def authenticate() -> None:
    """Let the request in only with a good access token of a living session; ``caller()`` says whose.

    Not flask-jwt-extended's ``jwt_required``: it verifies each token anew, and wants "Bearer" spelled so, where
    schemes have no case (RFC 9110, section 11.1).

    Raises:
        ApiError: A01 to A04.
    """
    scheme, _, encoded = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not encoded.strip():
        raise ApiError(A01)
    found = _verify(encoded.strip())
    _let_in(found)
    g.caller = found


def _let_in(found: Caller) -> None:
    # One statement on every request is what lets a logout take effect at once.
    asked = {"session_id": found.session_id, "user_id": found.user_id, "moment": minute_begun()}
    row = fetch_one(_ALIVE, asked) if found.user_id <= MAX_ID else None
    if row is None:
        raise ApiError(A04)
    answers = Answers.of(row)
    if found.counter is None:
        return
    # Somebody acts with an answer that was presumed lost, or that a restored database does not know.
    if answers.is_void(found.counter) or found.counter > answers.counter:
        reason = "void_used" if answers.is_void(found.counter) else "replay"
        end_session(found.user_id, found.session_id, reason)
        raise ApiError(A04)
    # The first that comes with the current answer shows, once a rotation, that it was not lost.
    if found.counter == answers.counter and found.counter > answers.used:
        try:
            used = execute(_USE, {"of_session": found.session_id, "used": found.counter})
        except SQLAlchemyError:
            # A read-only database, a deadlock's victim: the next request tries again.
            log.warning("the use of an answer could not be written", exc_info=True)
            return
        if not used:  # a rotation, or another request, was faster
            _let_in(found)


def _verify(encoded: str) -> Caller:
    try:
        claims = current_app.extensions["decode"](encoded)
        subject, counter = claims["sub"], claims.get("ctr")
        if claims["type"] != "access" or not isinstance(counter, int | None):
            raise PyJWTError("not of ours")
        if not _USER_ID.fullmatch(subject):
            raise PyJWTError("not of ours")
        if claims["exp"] <= now().timestamp():  # the clock skew is for nbf and iat alone
            raise ExpiredSignatureError
        return Caller(int(subject), uuid.UUID(claims["sid"]), counter)
    except ExpiredSignatureError:
        raise ApiError(A02) from None
    except InvalidSignatureError:  # with one of our key ids; of another length it was cut off
        kid = get_unverified_header(encoded)["kid"]
        whole = {key.kid: key.signature_length for key in current_settings.token_keys}[kid]
        is_whole = len(encoded.rpartition(".")[2]) == whole
        security_event("access_token_forged" if is_whole else "access_token_refused")
        raise ApiError(A03) from None
    except (
        PyJWTError,
        JWTExtendedException,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ):
        security_event("access_token_refused")
        raise ApiError(A03) from None
