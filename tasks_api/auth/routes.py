"""/api/users: signing up, in and out; who am I; my devices."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import g, request

from ..api import Blueprint
from ..config import settings
from ..errors import (
    A01,
    A02,
    A03,
    A04,
    INVALID_GRANT,
    L01,
    L02,
    NOT_FOUND,
    P01,
    R01,
    RATE_LIMITED,
    S01,
    S02,
    S03,
    S04,
    TOO_LARGE,
    UNAVAILABLE,
    UNSUPPORTED,
    ApiError,
)
from ..limits import count_attempt, limited
from . import service
from .access import authenticate, bearer_required, caller, issue
from .schemas import (
    InfoResponse,
    LoginRequest,
    LogoutRequest,
    PasswordRequest,
    RefreshRequest,
    SessionResponse,
    SignupRequest,
    TokenResponse,
    UserResponse,
)
from .service import Device, OpenSession

users = Blueprint("users", __name__, url_prefix="/api/users", description="Users, sessions and tokens")
BEARER = (A01, A02, A03, A04, UNAVAILABLE)
BODY = (TOO_LARGE, UNSUPPORTED, UNAVAILABLE)

View = TypeVar("View", bound=Callable[..., Any])


def _retry_within_window(view: View) -> View:
    """Have a refused client come back while its lost answer can still be told again."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if settings.refresh_retry_seconds:
            g.retry_within = settings.refresh_retry_seconds - 1
        return view(*args, **kwargs)

    return cast(View, wrapper)


@users.post("/signup")
@limited("signup")
@users.arguments(SignupRequest())
@users.response(201, UserResponse)
@users.errors(S01, S02, S03, S04, RATE_LIMITED, *BODY)
def sign_up(body: dict[str, Any]) -> Any:
    """Sign up: a new, active user."""
    return service.sign_up(**body)


@users.post("/login")
@limited("login")
@users.arguments(LoginRequest())
@users.response(200, TokenResponse)
@users.errors(L01, L02, RATE_LIMITED, *BODY)
def log_in(body: dict[str, Any]) -> Any:
    """Log in: opens a session, answers both its tokens."""
    return _tokens(service.log_in(body["email"], body["password"], _device()))


@users.post("/refresh_token")
@_retry_within_window
@users.arguments(RefreshRequest())
@users.response(200, TokenResponse)
@users.errors(R01, INVALID_GRANT, RATE_LIMITED, *BODY)
def refresh(body: dict[str, Any]) -> Any:
    """Refresh: the refresh token is used up, the answer has the next one.

    A token that was used a moment ago is answered with the same successor; an older one ends the session.
    """
    try:
        return _tokens(service.refresh(body["refresh_token"], body["user_id"], _device()))
    except ApiError:  # a good token is never held up: nobody guesses one
        count_attempt("refresh")
        raise


@users.post("/logout")
@users.arguments(LogoutRequest(), required=False)
@users.response(204)
@users.errors(R01, *BEARER, TOO_LARGE, UNSUPPORTED)
@users.doc(security=[{"bearer": []}, {}])
def log_out(body: dict[str, Any]) -> None:
    """Log out: ends the session of the refresh token in the body, or else of the access token."""
    if body["refresh_token"].strip():
        service.log_out(body["refresh_token"])
        return
    g.caller = authenticate()
    try:
        service.end_session(caller().user_id, caller().session_id, "logout")
    except ApiError:  # somebody else just did
        raise ApiError(A04) from None


@users.get("/info")
@bearer_required
@users.response(200, InfoResponse)
@users.errors(*BEARER)
def info() -> Any:
    """Who am I."""
    return service.info(caller().user_id)


@users.put("/password")
@bearer_required
@limited("password")
@users.arguments(PasswordRequest())
@users.response(200, TokenResponse)
@users.errors(S01, S03, S04, P01, RATE_LIMITED, *BEARER, TOO_LARGE, UNSUPPORTED)
def change_password(body: dict[str, Any]) -> Any:
    """Change the password: ends every session, the answer opens a new one."""
    return _tokens(service.change_password(caller().user_id, **body, device=_device()))


@users.get("/sessions")
@bearer_required
@users.response(200, SessionResponse(many=True))
@users.errors(*BEARER)
def list_sessions() -> Any:
    """The devices that are signed in, the most recently used first."""
    return service.sessions(caller().user_id, caller().session_id)


@users.delete("/sessions/<session_id>")
@bearer_required
@users.response(204)
@users.errors(NOT_FOUND, *BEARER)
def end_session(session_id: str) -> None:
    """Sign one device out."""
    try:
        wanted = uuid.UUID(session_id)
    except ValueError:
        raise ApiError(NOT_FOUND, "You have no such session.") from None
    service.end_session(caller().user_id, wanted, "signed_out")


@users.delete("/sessions")
@bearer_required
@users.response(204)
@users.errors(*BEARER)
def end_all_sessions() -> None:
    """Sign all devices out, this one too."""
    service.end_all_sessions(caller().user_id)


def _tokens(opened: OpenSession) -> dict[str, object]:
    return {
        "access_token": issue(opened.user_id, opened.session_id),
        "refresh_token": opened.refresh_token,
        "user_id": opened.user_id,
        "first_name": opened.first_name,
        "token_type": "Bearer",
        "expires_in": settings.access_token_seconds,
    }


def _device() -> Device:
    agent = request.headers.get("User-Agent", "")[:255]  # in Latin-1, so that each character is one of nvarchar's
    return Device(agent or None, (request.remote_addr or "")[:45] or None)
