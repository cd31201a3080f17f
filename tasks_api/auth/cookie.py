"""The refresh token in a cookie, for web pages: no script of theirs can read it there."""

import uuid
from contextlib import suppress

from flask import Response, after_this_request, request

from ..clock import now
from ..config import current_settings
from ..errors import CROSS_ORIGIN, R01, ApiError
from ..web.middleware import host_name
from .refresh_tokens import decode
from .sessions import OpenSession

NAME = "tasks_refresh"
_LOCAL = ("localhost", "127.0.0.1", "::1")


def token() -> str:
    """The refresh token in the request's cookie, for a request that counts on it; empty if there is none.

    Raises:
        ApiError: CROSS_ORIGIN, the request comes from a web page of another origin; R01, there are two such cookies,
            and one of them may be a sibling domain's (RFC 6265, section 8.6).
    """
    found = _found()
    if found and not _is_from_here():
        raise ApiError(CROSS_ORIGIN)
    if len(found) > 1:
        raise ApiError(R01, f"There are two cookies called {NAME}.")
    return found[0] if found else ""


def is_of(session_id: uuid.UUID | None) -> bool:
    """Whether the request's cookie, if it has one, is of this session."""
    for text in _found():
        with suppress(ValueError):
            if decode(text).session_id == session_id:
                return True
    return False


def keep(opened: OpenSession) -> None:
    """Have the answer to this request set the cookie, for what is left of the session."""
    left = round((opened.expires_at - now()).total_seconds())
    _set(opened.refresh_token, left)


def clear() -> None:
    """Have the answer to this request, an error too, clear the cookie."""
    _set("", 0)


def _found() -> list[str]:
    return [text for text in request.cookies.getlist(NAME) if text]


def _set(text: str, seconds: int) -> None:
    policy = current_settings.cookie_samesite

    @after_this_request
    def add(response: Response) -> Response:
        response.set_cookie(
            NAME,
            text,
            max_age=seconds,
            path=f"{request.script_root}/api/users",
            secure=request.is_secure or policy == "None" or host_name() not in _LOCAL,
            httponly=True,
            samesite=policy,
        )
        return response


def _is_from_here() -> bool:
    """Whether a page of our own, one that is allowed by name, or no page at all sent the request.

    Browsers say so in Sec-Fetch-Site; older ones name the page in Origin. SameSite alone lets sibling domains in.
    """
    origin = request.headers.get("Origin", "")
    if origin != "*" and origin in current_settings.cors_origins:
        return True
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    # Of the header, for request.host is empty where the name has an underscore.
    host = request.headers.get("Host", "").lower()
    own = (f"http://{host.removesuffix(':80')}", f"https://{host.removesuffix(':443')}")
    return not origin or (host != "" and origin.lower() in own)
