"""What happens to every request before its view and after it."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, request
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from ..config import Settings, current_settings
from ..errors import NOT_FOUND, ApiError
from .fields import IdConverter

Wsgi = Callable[..., Iterable[bytes]]

MAX_BODY_BYTES = 64 * 1024
# Headers of API answers (OWASP REST Security Cheat Sheet). HTML pages set their own Content-Security-Policy.
CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"
SECURITY_HEADERS = (
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
HSTS = "max-age=31536000"  # one year
EXPOSED_HEADERS = ("Link", "Location", "Retry-After", "WWW-Authenticate", "X-Request-ID")


def init_middleware(app: Flask, settings: Settings) -> None:
    """Set up paths and the ids in them, client addresses, proxies, CORS and response headers."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    app.url_map.merge_slashes = False  # otherwise Flask would redirect
    app.url_map.converters["id"] = IdConverter
    app.before_request(_refuse_two_slashes)
    app.after_request(_add_headers)
    if settings.cors_origins:
        _allow_origins(app, settings.cors_origins)
    app.wsgi_app = _with_plain_address(app.wsgi_app)  # type: ignore[method-assign]
    if count := settings.trusted_proxies:
        # Each proxy adds an address to X-Forwarded-For. The last proxy must overwrite the other headers.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=1, x_host=1, x_prefix=1
        )


def _allow_origins(app: Flask, origins: list[str]) -> None:
    if origins == ["*"]:
        CORS(app, expose_headers=EXPOSED_HEADERS, max_age=600)
        return
    # flask-cors treats text with special characters as a pattern, so pass patterns that match one origin each.
    exact = [re.compile(re.escape(origin) + r"\Z") for origin in origins]
    CORS(
        app, origins=exact, expose_headers=EXPOSED_HEADERS, supports_credentials=True, max_age=600
    )


def _refuse_two_slashes() -> None:
    # Werkzeug would route //metrics to /metrics, and a proxy's rule for /metrics would not match it.
    if request.environ["PATH_INFO"].startswith("//"):
        raise ApiError(NOT_FOUND)


def _with_plain_address(application: Wsgi) -> Wsgi:
    def wrapper(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = plain_address(environ.get("REMOTE_ADDR", ""))
        return application(environ, start_response)

    return wrapper


def plain_address(text: str) -> str:
    """Return the IP address in ``text`` without port, brackets and zone, or an empty text.

    An IPv4 address that is written as IPv6 (``::ffff:``) is returned as IPv4. Proxies write all of these.
    """
    for candidate in (text, host_name(text)):
        with suppress(ValueError):
            address = ip_address(candidate.strip().partition("%")[0])
            return str(getattr(address, "ipv4_mapped", None) or address)
    return ""


def host_name(host: str) -> str:
    """Return the name or address in ``host:port``, or an empty text."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_local() -> bool:
    """Return True for a request to localhost, where browsers treat plain http as secure."""
    return host_name(request.host) in ("localhost", "127.0.0.1", "::1")


def _add_headers(response: Response) -> Response:
    # One call for all of them: each assignment would search through all headers.
    headers = [*SECURITY_HEADERS]
    if "Content-Security-Policy" not in response.headers:
        headers.append(("Content-Security-Policy", CONTENT_POLICY))
    if current_settings.cors_origins:
        # On every answer, or a cache could give one without CORS headers to a page of an allowed origin.
        response.vary.add("Origin")
    if request.is_secure and not is_local():
        headers.append(("Strict-Transport-Security", HSTS))
    if request.path.startswith(("/api/", "/health/", "/metrics")):
        headers.append(("Cache-Control", "no-store"))
    response.headers.extend(headers)
    return response
