"""/api/users: signing up, in and out; my account; my devices."""

import uuid
from typing import Any

from flask import request

from ..config import current_settings
from ..errors import (
    A01,
    A02,
    A03,
    A04,
    CROSS_ORIGIN,
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
from ..web.blueprint import Blueprint, refuses, returns
from ..web.parsing import takes
from . import cookie, limits, login, refresh, sessions, users
from .access_tokens import authenticate, caller, issue, signed_in
from .emails import counting_key
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
from .sessions import Device, NewPair

public = Blueprint("users", "/api/users")
account = Blueprint("account", "/api/users", signed_in)


@public.post("/signup")
@returns(UserResponse(), 201)
@refuses(S02, S03, S04, RATE_LIMITED)
@takes(SignupRequest())
def sign_up(body: dict[str, Any]) -> Any:
    """Sign up.

    Adds an active user. Two users cannot have the same email, in upper or lower case.
    """
    limits.count_or_refuse("signup", limits.network())
    return users.sign_up(body.pop("password"), body.pop("confirm_password"), body)


@public.post("/login")
@returns(TokenResponse())
@refuses(L02, RATE_LIMITED)
@takes(LoginRequest())
def log_in(body: dict[str, Any]) -> Any:
    """Log in.

    Opens a session and returns its access token and its refresh token. With `cookie` the refresh token comes as a
    cookie that scripts cannot read, and `refreshToken` is null.
    """
    network, email = limits.network(), body["email"]
    limits.count_or_refuse("login", network)
    account_key = counting_key(email)
    if limits.is_used_up("login_failures", account_key, network):
        limits.refuse("login_failures", account_key, network)
    # A client with an active session of this user may go on, so that an attacker cannot lock the user out.
    is_locked = limits.is_used_up("account_failures", account_key)
    if is_locked and not sessions.is_signed_in_at(email, network):
        limits.refuse("account_failures", account_key)
    try:
        pair = login.log_in(email, body["password"], _device())
    except ApiError:
        limits.count("login_failures", account_key, network)
        limits.count("account_failures", account_key)
        raise
    return _tokens(pair, in_cookie=body["cookie"])


@public.post("/refresh_token")
@returns(TokenResponse())
@refuses(INVALID_GRANT, CROSS_ORIGIN)
@takes(RefreshRequest())
def refresh_token(body: dict[str, Any]) -> Any:
    """Refresh.

    Exchanges the refresh token of the body, or else of the cookie, for new tokens. An exchanged token is answered again
    from the same address for 60 seconds, and while the new tokens are unused. Otherwise it ends the session.
    """
    in_cookie = not body["refresh_token"]
    text = body["refresh_token"] or cookie.token_in_cookie()
    if not text:
        raise ApiError(R01, "refreshToken is missing.", errors={"refreshToken": ["is missing"]})
    pair = refresh.refresh(text, body["user_id"] or 0, _device())
    return _tokens(pair, in_cookie=in_cookie)


@public.post("/logout")
@returns(None, 204)
@refuses(A01, A02, A03, A04, CROSS_ORIGIN, security=[{"bearer": []}, {"cookie": []}, {}])
@takes(LogoutRequest())
def log_out(body: dict[str, Any]) -> None:
    """Log out.

    Ends the session of the body's refresh token, or else of the access token, or else of the cookie. Both its tokens
    stop working at once.
    """
    text = body["refresh_token"]
    ended = refresh.log_out(text) if text else _log_out_without_body()
    _clear_cookie_of(ended)


def _log_out_without_body() -> uuid.UUID | None:
    try:
        authenticate()
    except ApiError:
        text = cookie.token_in_cookie()
        if not text:
            raise
        return refresh.log_out(text)
    sessions.end_session(caller().user_id, caller().session_id, "logout")
    return caller().session_id


@account.get("/info")
@returns(InfoResponse())
def info() -> Any:
    """Get my details.

    Returns the user of the access token.
    """
    return users.get_user(caller().user_id)


@account.patch("/info")
@returns(InfoResponse())
@refuses(S02, P01, RATE_LIMITED)
@takes(InfoChanges())
def change_info(body: dict[str, Any]) -> Any:
    """Change my names or my email.

    Only the members of the body change. No session ends. A new email needs `currentPassword`. null is not allowed.
    """
    password = body.pop("current_password", None)
    if password is not None and "email" in body:
        _count_password_check()
    return users.change_info(caller().user_id, body, password)


@account.post("/delete")
@returns(None, 204)
@refuses(P01, RATE_LIMITED)
@takes(DeletionRequest())
def delete_account(body: dict[str, Any]) -> None:
    """Delete my account.

    Deletes my tasks, my sessions and my user. All my tokens stop working at once, and the email is free again.
    """
    _count_password_check()
    ended = users.delete_account(caller().user_id, body["current_password"])
    _clear_cookie_of(*ended)


@account.put("/password")
@returns(TokenResponse())
@refuses(S03, S04, P01, RATE_LIMITED)
@takes(PasswordRequest())
def change_password(body: dict[str, Any]) -> Any:
    """Change my password.

    Ends all my sessions and opens a new one. If the request has the session's cookie, the new refresh token comes as a
    cookie too.
    """
    _count_password_check()
    in_cookie = cookie.holds_token_of(caller().session_id)
    pair = login.change_password(caller().user_id, **body, device=_device())
    return _tokens(pair, in_cookie=in_cookie)


@account.get("/sessions")
@returns(SessionResponse(many=True))
def list_sessions() -> Any:
    """List my devices that are signed in.

    Each one is a session. The most recently used one comes first.
    """
    return sessions.list_sessions(caller().user_id, caller().session_id)


@account.delete("/sessions/<uuid:session_id>")
@returns(None, 204)
@refuses(NOT_FOUND)
def end_session(session_id: uuid.UUID) -> None:
    """Sign out one of my devices.

    Both its tokens stop working at once.
    """
    if not sessions.end_session(caller().user_id, session_id, "signed_out"):
        raise ApiError(NOT_FOUND, "You have no such session.")
    _clear_cookie_of(session_id)


@account.delete("/sessions")
@returns(None, 204)
def end_all_sessions() -> None:
    """Sign out all my devices, this one too.

    All my tokens stop working at once.
    """
    _clear_cookie_of(*sessions.end_all_sessions(caller().user_id))


def _clear_cookie_of(*ended: uuid.UUID | None) -> None:
    if any(map(cookie.holds_token_of, ended)):
        cookie.clear_cookie()


def _tokens(pair: NewPair, *, in_cookie: bool) -> dict[str, object]:
    if in_cookie:
        cookie.set_cookie(pair)
    return {
        "access_token": issue(pair),
        "refresh_token": None if in_cookie else pair.refresh_token,
        "user_id": pair.user_id,
        "first_name": pair.first_name,
        "token_type": "Bearer",
        "expires_in": current_settings.access_token_seconds,
    }


def _count_password_check() -> None:
    # By session, so that one user cannot use up another user's limit.
    limits.count_or_refuse("password", str(caller().session_id))


def _device() -> Device:
    # WSGI decodes headers as Latin-1, so 255 characters fit into nvarchar(255).
    agent = request.headers.get("User-Agent", "")[:255]
    return Device(agent, request.remote_addr or "")
