"""The refresh token in a cookie, for web pages: their scripts cannot read it there."""

import uuid
from contextlib import suppress

from flask import Response, after_this_request, request

from ..clock import now
from ..config import Settings, current_settings
from ..errors import CROSS_ORIGIN, R01, ApiError
from ..web.middleware import is_local
from .refresh_tokens import decode
from .sessions import NewPair

# Keeps sibling domains from setting the cookie (RFC 6265bis, section 4.1.3.2).
HOST_PREFIX = "__Host-"


def token_in_cookie() -> str:
    """Return the cookie's refresh token, or an empty text. Call this only if the request has no other token.

    Raises:
        ApiError: CROSS_ORIGIN, a web page of another origin sent the request; R01, there are two cookies of
            this name, and another site may have set one.
    """
    found = _cookie_values()
    if found and not _is_same_origin():
        raise ApiError(CROSS_ORIGIN)
    if len(found) > 1:
        raise ApiError(R01, f"There are two cookies called {_name()}.")
    return found[0] if found else ""


def holds_token_of(session_id: uuid.UUID | None) -> bool:
    """Return True if the request has exactly one cookie and it holds a token of this session."""
    with suppress(ValueError):
        (token,) = _cookie_values()
        return decode(token).session_id == session_id
    return False


def set_cookie(pair: NewPair) -> None:
    """Set the cookie in the answer to this request, for the rest of the session."""
    seconds = round((pair.expires_at - now()).total_seconds())
    _set(pair.refresh_token, seconds)


def clear_cookie() -> None:
    """Clear the cookie in the answer to this request."""
    _set("", 0)


def documented_name(settings: Settings) -> str:
    """Return the cookie's name on an https address."""
    return HOST_PREFIX + settings.cookie_name


def _is_secure() -> bool:
    # Browsers drop a Secure cookie from plain http, at localhost too. SameSite=None needs Secure everywhere.
    return request.is_secure or current_settings.cookie_samesite == "None" or not is_local()


def _name() -> str:
    return (HOST_PREFIX if _is_secure() else "") + current_settings.cookie_name


def _cookie_values() -> list[str]:
    # Do not use a parser that knows quoted values: another site could set an open quote that hides our cookie.
    name = _name()
    pairs = (pair.partition("=") for pair in request.headers.get("Cookie", "").split(";"))
    # Strip blanks and tabs, as browsers do. A sibling domain can set a cookie whose name begins with a no-break space.
    values = [value.strip(" \t") for key, _, value in pairs if key.strip(" \t") == name]
    return [value for value in values if value]


def _set(text: str, seconds: int) -> None:
    name, is_secure = _name(), _is_secure()

    @after_this_request
    def add(response: Response) -> Response:
        response.set_cookie(
            name,
            text,
            max_age=seconds,
            path="/",
            secure=is_secure,
            httponly=True,
            samesite=current_settings.cookie_samesite,
        )
        return response


def _is_same_origin() -> bool:
    """Return True for a page of the same or an allowed origin, and for a client that is no browser.

    SameSite does not stop sibling domains. Browsers send Sec-Fetch-Site; older ones send only Origin.
    """
    origin = request.headers.get("Origin", "")
    if origin != "*" and origin in current_settings.cors_origins:
        return True
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    # Read the header, because Werkzeug's request.host is empty for a name with an underscore.
    host = request.headers.get("Host", "").lower()
    own = (f"http://{host.removesuffix(':80')}", f"https://{host.removesuffix(':443')}")
    return not origin or (host != "" and origin.lower() in own)
