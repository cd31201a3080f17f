"""What happens to every request before its route and after it, whichever route it is."""

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, request
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from ..config import Settings

Wsgi = Callable[..., Iterable[bytes]]

MAX_BODY_BYTES = 64 * 1024
# For answers that nobody should render, frame, sniff or keep (OWASP REST Security Cheat Sheet). Pages bring a policy
# of their own.
POLICY = "default-src 'none'; frame-ancestors 'none'"
SECURITY_HEADERS = (
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
HSTS = "max-age=31536000"  # a year, once the service is reached over https
EXPOSED_HEADERS = ("Link", "Location", "Retry-After", "WWW-Authenticate", "X-Request-ID")

# What proxies write for an address: with a port (Azure), in brackets, with a zone.
_FORWARDED = re.compile(r"([0-9.]+)(?::\d+)?|\[?([0-9A-Fa-f:.]+)(?:%[^]]*)?\]?(?::\d+)?")

_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def init_middleware(app: Flask, settings: Settings) -> None:
    """Path folding, proxies, CORS and response headers."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    app.url_map.merge_slashes = False  # or "//" would be answered with a redirect
    app.after_request(_add_headers)
    if settings.cors_origins:
        # As patterns, for flask-cors would take some of the texts for such.
        exact = [re.compile(re.escape(origin) + r"\Z") for origin in settings.cors_origins]
        origins = "*" if settings.cors_origins == ("*",) else exact
        CORS(
            app,
            origins=origins,
            expose_headers=EXPOSED_HEADERS,
            supports_credentials=origins == exact,
            max_age=600,
        )
    wrapped = normalised(app.wsgi_app)
    if count := settings.trusted_proxies:
        # Each proxy adds an address; the rest the innermost one writes, over what was there.
        wrapped = ProxyFix(wrapped, x_for=count, x_proto=1, x_host=1, x_prefix=1)
    app.wsgi_app = wrapped  # type: ignore[method-assign]


def normalised(application: Wsgi) -> Wsgi:
    """Read path and client of a request in one spelling each, before anything looks at them.

    Paths match without case and with or without a trailing slash, as in ASP.NET. Folded here, so that no client
    is redirected: many lose their body on the way. What the server or a trusted proxy says of the client is read
    as an address, here and nowhere else.
    """

    def wrapper(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "").lower()
        if path.startswith("/api/"):
            environ["PATH_INFO"] = path[:-1] if path.endswith("/") else path
        environ["REMOTE_ADDR"] = read_address(environ.get("REMOTE_ADDR", ""))
        return application(environ, start_response)

    return wrapper


def read_address(text: str) -> str:
    """The address in ``text`` without port, brackets and zone, IPv4 as such; nothing if there is none."""
    found = _FORWARDED.fullmatch(text.strip())
    try:
        address = ip_address((found[1] or found[2]) if found else "")
    except ValueError:
        return ""
    if address in _NAT64:
        return str(IPv4Address(int(address) & 2**32 - 1))
    return str(getattr(address, "ipv4_mapped", None) or address)


def _add_headers(response: Response) -> Response:
    # All at once: each assignment would look through all headers, 20 microseconds together.
    added = [*SECURITY_HEADERS]
    if "Content-Security-Policy" not in response.headers:
        added.append(("Content-Security-Policy", POLICY))
    if request.is_secure and not _is_local():
        added.append(("Strict-Transport-Security", HSTS))
    if request.path.startswith(("/api/", "/health/", "/metrics")):
        added.append(("Cache-Control", "no-store"))
    response.headers.extend(added)
    return response


def host_name() -> str:
    """Of the request, without its port; nothing if it is malformed."""
    try:
        return urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return ""


def _is_local() -> bool:
    """Whether the browser would keep plain http from other programs on its machine."""
    name = host_name().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = read_address(name)
    return address != "" and ip_address(address).is_loopback
