"""Access tokens: issued and checked with flask-jwt-extended, let in only while their session lives."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

from flask import Flask, current_app, g, request
from flask_jwt_extended import JWTManager, create_access_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import ExpiredSignatureError, PyJWTError
from sqlalchemy import bindparam, select

from ..clock import now
from ..config import Settings
from ..database import fetch_one
from ..errors import A01, A02, A03, A04, ApiError
from ..events import security_event
from ..models import RefreshToken, User

MAX_LENGTH = 4096  # of a token; ours have some 500 characters
CLOCK_SKEW_SECONDS = 5  # how far the clocks of two machines may differ
REMEMBERED = 4096  # access tokens whose signature was good
_CLAIMS = {"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "type"}

View = TypeVar("View", bound=Callable[..., Any])

_ALIVE = (
    select(RefreshToken.c.id)
    .join(User, User.c.id == RefreshToken.c.user_id)
    .where(
        RefreshToken.c.session_id == bindparam("session_id"),
        RefreshToken.c.user_id == bindparam("user_id"),
        RefreshToken.c.expiry_date > bindparam("moment"),
        User.c.active,
    )
)


@dataclass(frozen=True)
class Caller:
    """Who sent a request, as its access token and its session say."""

    user_id: int
    session_id: uuid.UUID


def init_access(app: Flask, values: Settings) -> None:
    """Pin algorithms, issuer, audience and lifetime; choose keys by ``kid``."""
    keys = {key.kid: key for key in values.token_keys}
    newest = values.token_keys[0]
    app.config.update(
        JWT_ALGORITHM=newest.algorithm,
        JWT_DECODE_ALGORITHMS=sorted({key.algorithm for key in keys.values()}),
        JWT_ENCODE_ISSUER=values.jwt_issuer,
        JWT_DECODE_ISSUER=values.jwt_issuer,
        JWT_ENCODE_AUDIENCE=values.jwt_audience,
        JWT_DECODE_AUDIENCE=values.jwt_audience,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=values.access_token_seconds),
        JWT_DECODE_LEEWAY=CLOCK_SKEW_SECONDS,
        JWT_COOKIE_CSRF_PROTECT=False,  # tokens travel in a header, never in a cookie
    )
    manager = JWTManager(app)

    @manager.encode_key_loader
    def signing_key(_identity: str) -> Any:
        return newest.signing

    @manager.additional_headers_loader
    def headers(_identity: str) -> dict[str, str]:
        return {"kid": newest.kid}

    @manager.decode_key_loader
    def verification_key(header: dict[str, Any], claims: dict[str, Any]) -> Any:
        # Here and not after verification, because flask-jwt-extended fills in a type that is missing.
        if not claims.keys() >= _CLAIMS:
            raise PyJWTError("claims are missing")
        key = keys.get(header.get("kid", newest.kid))
        # The key decides the algorithm, never the token (RFC 8725, section 3.1).
        if key is None or header.get("alg") != key.algorithm:
            raise PyJWTError("unknown kid, or not its algorithm")
        return key.verifying

    # A client sends the same token for minutes, and a signature that was good stays good: checking it again costs
    # as much as both of a request's statements. Whether token and session still live is asked every time.
    app.extensions["decode"] = lru_cache(REMEMBERED)(decode_token)


def issue(user_id: int, session_id: uuid.UUID) -> str:
    """A new access token for the session."""
    return str(create_access_token(str(user_id), additional_claims={"sid": str(session_id)}))


def bearer_required(view: View) -> View:
    """Let a request in only with a good access token of a living session; ``caller()`` says whose."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        g.caller = authenticate()
        return view(*args, **kwargs)

    document: Any = wrapper
    document._apidoc = {**getattr(view, "_apidoc", {})}
    manual = {"security": [{"bearer": []}], **document._apidoc.get("manual_doc", {})}
    document._apidoc["manual_doc"] = manual
    return cast(View, wrapper)


def caller() -> Caller:
    """Who sent this request."""
    return cast(Caller, g.caller)


def authenticate() -> Caller:
    """Check the request's access token and its session.

    Raises:
        ApiError: A01 to A04.
    """
    encoded = _bearer_token()
    if not encoded:
        raise ApiError(A01)
    found = _verify(encoded)
    # One statement on every request is what lets a logout take effect at once.
    parameters = {"session_id": found.session_id, "user_id": found.user_id, "moment": now()}
    if fetch_one(_ALIVE, parameters) is None:
        raise ApiError(A04)
    return found


def _bearer_token() -> str:
    # Not flask-jwt-extended's own reader: it wants "Bearer" spelled so, and schemes have no case (RFC 9110).
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _verify(encoded: str) -> Caller:
    try:
        if len(encoded) > MAX_LENGTH:
            raise PyJWTError("too long")
        claims = current_app.extensions["decode"](encoded)
        if claims["type"] != "access" or not claims["sub"].isdecimal():
            raise ApiError(A03)
        found = Caller(int(claims["sub"]), uuid.UUID(claims["sid"]))
    except ExpiredSignatureError:
        raise ApiError(A02) from None
    except (PyJWTError, JWTExtendedException, ValueError, TypeError, AttributeError, RecursionError):
        security_event("access_token_forged")
        raise ApiError(A03) from None
    if claims["exp"] <= now().timestamp():  # the clock skew is for nbf and iat alone
        raise ApiError(A02)
    if found.user_id > 2**31 - 1:
        raise ApiError(A04)
    return found
