"""/api/users: signing up, in and out; who am I; my devices. And the keys that others verify our tokens with."""

import uuid
from contextlib import suppress
from typing import Any

from flask import Blueprint as FlaskBlueprint
from flask import Response, jsonify, request

from ..attempts import client_of, hit, refuse
from ..config import current_settings
from ..errors import (
    A01,
    A02,
    A03,
    A04,
    CROSS_ORIGIN,
    IN_USE,
    INVALID_GRANT,
    L02,
    NOT_FOUND,
    P01,
    R01,
    RATE_LIMITED,
    S02,
    S03,
    S04,
    ApiError,
)
from ..web.blueprint import Blueprint
from . import accounts, cookie, refresh, sessions, users
from .access_tokens import authenticate, caller, issue
from .schemas import (
    DeletionRequest,
    InfoChanges,
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
from .sessions import Device, OpenSession

# A new key is announced so long before it signs, or it is not known elsewhere yet.
JWKS_SECONDS = 300

auth = Blueprint("users", "/api/users", "Signing up, in and out; refreshing")
account = Blueprint("account", "/api/users", "My account, my password, my devices", authenticate)
jwks = FlaskBlueprint("jwks", __name__)


@auth.post("/signup")
@auth.errors(S02, S03, S04, RATE_LIMITED)
@auth.arguments(SignupRequest())
@auth.response(201, UserResponse)
def sign_up(body: dict[str, Any]) -> Any:
    """Sign up: a new, active user.

    Emails are unique whatever their case, and what `ts` says becomes the creation date.
    """
    _count_attempt("signup")
    return users.sign_up(body.pop("password"), body.pop("confirm_password"), body)


@auth.post("/login")
@auth.errors(L02, RATE_LIMITED)
@auth.arguments(LoginRequest())
@auth.response(200, TokenResponse)
def log_in(body: dict[str, Any]) -> Any:
    """Log in: opens a session, answers both its tokens.

    With `cookie` the refresh token comes as a cookie that no script can read, and `refreshToken` is null.
    """
    _count_attempt("login")
    opened = users.log_in(body["email"], body["password"], _device())
    return _tokens(opened, in_cookie=body["cookie"])


@auth.post("/refresh_token")
@auth.errors(INVALID_GRANT, CROSS_ORIGIN, RATE_LIMITED)
@auth.arguments(RefreshRequest(), required=False)
@auth.response(200, TokenResponse)
def refresh_token(body: dict[str, Any]) -> Any:
    """Refresh: the refresh token of the body, or else of the cookie, is used up, the answer has the next one.

    A used token is answered again if its answer was lost: if nothing of that has been used. After that it ends
    the session, for two parties have it.
    """
    in_cookie = not body["refresh_token"].strip()
    text = cookie.token() if in_cookie else body["refresh_token"]
    if not text:
        raise ApiError(R01, "refreshToken is missing.", errors={"refreshToken": ["is missing"]})
    try:
        opened = refresh.refresh(text, body["user_id"], _device())
    except ApiError as error:
        _count_attempt("refresh")  # a good token is never held up: nobody guesses one
        if in_cookie and not isinstance(error, refresh.OtherUserError):
            cookie.clear()
        raise
    return _tokens(opened, in_cookie=in_cookie)


@auth.after_request
def ask_back_within_the_retry_window(response: Response) -> Response:
    """Have a refused client come back while its lost answer can still be told again."""
    window = current_settings.refresh_retry_seconds
    if request.endpoint == "users.refresh_token" and "Retry-After" in response.headers and window:
        seconds = min(int(response.headers["Retry-After"]), window - 1)
        response.headers["Retry-After"] = str(max(1, seconds))
    return response


@auth.post("/logout")
@auth.errors(A01, A02, A03, A04, CROSS_ORIGIN)
@auth.arguments(LogoutRequest(), required=False)
@auth.response(204)
@auth.doc(security=[{"bearer": []}, {"cookie": []}, {}])
def log_out(body: dict[str, Any]) -> None:
    """Log out: both tokens of the session stop working at once.

    It is that of the body's refresh token, or else of the access token, or else of the cookie.
    """
    text = body["refresh_token"]
    ended = refresh.log_out(text) if text.strip() else _log_out_without_body()
    if cookie.is_of(ended):
        cookie.clear()


def _log_out_without_body() -> uuid.UUID | None:
    try:
        authenticate()
        if not sessions.end_session(caller().user_id, caller().session_id, "logout"):
            raise ApiError(A04)
        return caller().session_id
    except ApiError:
        text = cookie.token()
        if not text:
            raise
    ended = refresh.log_out(text)
    if ended is None:
        cookie.clear()  # of no use any more
    return ended


@account.get("/info")
@account.errors()
@account.response(200, InfoResponse)
def info() -> Any:
    """Who am I.

    The user of the access token.
    """
    return users.details(caller().user_id)


@account.patch("/info")
@account.errors(S02, P01, RATE_LIMITED)
@account.arguments(InfoChanges())
@account.response(200, InfoResponse)
def change_info(body: dict[str, Any]) -> Any:
    """Change what the body names of my names and my email.

    The rest stays, no session ends, null is malformed. A new email needs `currentPassword`.
    """
    password = body.pop("current_password", None)
    if password is not None and "email" in body:
        _count_attempt("password")
    return accounts.change_info(caller().user_id, body, password, _device())


@account.post("/delete")
@account.errors(P01, IN_USE, RATE_LIMITED)
@account.arguments(DeletionRequest())
@account.response(204)
def delete_account(body: dict[str, Any]) -> None:
    """Delete my account: my tasks, my sessions and me, for good.

    All tokens of the user stop working at once, and the email is free again.
    """
    _count_attempt("password")
    ended = accounts.delete_own(caller().user_id, body["current_password"], _device())
    if any(cookie.is_of(session_id) for session_id in ended):
        cookie.clear()


@account.put("/password")
@account.errors(S03, S04, P01, RATE_LIMITED)
@account.arguments(PasswordRequest())
@account.response(200, TokenResponse)
def change_password(body: dict[str, Any]) -> Any:
    """Change the password: ends every session, the answer opens a new one.

    With the session's own cookie the new refresh token comes as a cookie too.
    """
    _count_attempt("password")
    in_cookie = cookie.is_of(caller().session_id)
    opened = users.change_password(caller().user_id, **body, device=_device())
    return _tokens(opened, in_cookie=in_cookie)


@account.get("/sessions")
@account.errors()
@account.response(200, SessionResponse(many=True))
def list_sessions() -> Any:
    """The devices that are signed in, the most recently used first.

    Each is a session, however often its tokens were refreshed.
    """
    return sessions.list_sessions(caller().user_id, caller().session_id)


@account.delete("/sessions/<session_id>")
@account.errors(NOT_FOUND)
@account.response(204)
def end_session(session_id: str) -> None:
    """Sign one device out.

    Both its tokens stop working at once.
    """
    with suppress(ValueError):
        if sessions.end_session(caller().user_id, uuid.UUID(session_id), "signed_out"):
            return
    raise ApiError(NOT_FOUND, "You have no such session.")


@account.delete("/sessions")
@account.errors()
@account.response(204)
def end_all_sessions() -> None:
    """Sign all devices out, this one too.

    All tokens of the user stop working at once.
    """
    sessions.end_all_sessions(caller().user_id)


@jwks.get("/.well-known/jwks.json")
def public_keys() -> Response:
    """The public halves of the keys of access tokens, newest first (RFC 7517)."""
    response = jsonify(keys=current_settings.public_keys)
    response.headers["Cache-Control"] = f"public, max-age={JWKS_SECONDS}"
    return response


def _tokens(opened: OpenSession, *, in_cookie: bool) -> dict[str, object]:
    if in_cookie:
        cookie.keep(opened)
    return {
        "access_token": issue(opened),
        "refresh_token": None if in_cookie else opened.refresh_token,
        "user_id": opened.user_id,
        "first_name": opened.first_name,
        "token_type": "Bearer",
        "expires_in": current_settings.access_token_seconds,
    }


def _count_attempt(route: str) -> None:
    """Count an attempt of the request's client against the setting ``ratelimit_<route>``."""
    rate = getattr(current_settings, f"ratelimit_{route}")
    tried = (rate, route, client_of(request.remote_addr or ""))
    if not hit(*tried):
        refuse(*tried)


def _device() -> Device:
    # In Latin-1, so that each character is one of nvarchar's.
    agent = request.headers.get("User-Agent", "")[:255]
    return Device(agent, request.remote_addr or "")
