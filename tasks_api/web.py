"""What happens to every request before its route and after it, whichever route it is."""

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, g, request
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix

from .config import Settings
from .metrics import IN_FLIGHT, observe

log = logging.getLogger("tasks_api.access")

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
# Version 00 and what later ones must begin with; no part of zeros alone: https://www.w3.org/TR/trace-context/
_TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?", re.ASCII
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def init_web(app: Flask, settings: Settings) -> None:
    """Request ids, path folding, proxies, CORS, response headers and the access log."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1  # cut off there without a word when it comes in chunks
    app.url_map.merge_slashes = False  # or "//" would be answered with a redirect
    app.before_request(_start)
    app.after_request(_finish)
    app.teardown_request(_end)
    if settings.cors_origins:
        CORS(
            app,
            origins=list(settings.cors_origins),
            expose_headers=EXPOSED_HEADERS,
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            max_age=600,
        )
    wrapped: Any = PathFolding(app.wsgi_app)
    proxies = settings.trusted_proxies
    if proxies:
        wrapped = ProxyFix(wrapped, x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=proxies)
    app.wsgi_app = wrapped  # type: ignore[method-assign]


class PathFolding:
    """Paths match without case and with or without a trailing slash, as in ASP.NET.

    Folded here, before routing, so that no client is redirected: many lose their body on the way.
    """

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Pass the request on under its folded path."""
        path = environ.get("PATH_INFO", "").lower()
        if path.startswith("/api/"):
            environ["PATH_INFO"] = path[:-1] if path.endswith("/") else path
        return self.application(environ, start_response)


def _start() -> None:
    g.started = time.perf_counter()
    headers = request.headers
    given = headers.get("X-Request-ID", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
    g.facts = {"request_id": request_id, "address": request.remote_addr}
    if trace := _TRACEPARENT.fullmatch(headers.get("traceparent", "")):
        g.facts |= {"trace_id": trace[1], "span_id": trace[2]}
    IN_FLIGHT.inc()


def _finish(response: Response) -> Response:
    seconds = time.perf_counter() - g.started
    added = [("X-Request-ID", g.facts["request_id"]), *SECURITY_HEADERS]
    if "Content-Security-Policy" not in response.headers:
        added.append(("Content-Security-Policy", POLICY))
    if request.is_secure:
        added.append(("Strict-Transport-Security", HSTS))
    if request.path.startswith("/api/"):
        added.append(("Cache-Control", "no-store"))
    response.headers.extend(added)
    rule, method, status = request.url_rule, request.method, response.status_code
    route = rule.rule if rule else "unmatched"
    observe(route, method, status, seconds)
    log.info("request", extra={"route": route, "method": method, "status": status, "ms": round(seconds * 1000, 2)})
    return response


def _end(_error: BaseException | None) -> None:
    IN_FLIGHT.dec()
