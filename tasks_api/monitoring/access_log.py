"""One log line and one count for each request, and the id by which people find it."""

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from .metrics import IN_FLIGHT, METHODS, REQUESTS

log = logging.getLogger("tasks_api.access")

# Version 00 and what later ones must begin with; no part of zeros alone: https://www.w3.org/TR/trace-context/
TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?",
    re.ASCII,
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def init_access_log(app: Flask) -> None:
    """Tell every request's beginning and end."""
    app.before_request(_begin)
    app.after_request(_answer)
    app.teardown_request(_end)


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
    g.facts = {"request_id": request_id, "address": request.remote_addr}
    if trace := TRACEPARENT.fullmatch(request.headers.get("traceparent", "")):
        g.facts |= {"trace_id": trace[1], "span_id": trace[2]}
    IN_FLIGHT.inc()


def _answer(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.facts["request_id"]
    seconds = time.perf_counter() - g.started
    route = request.url_rule.rule if request.url_rule else "unmatched"
    method, status = request.method, response.status_code
    # Under its route, never its path, nor what somebody calls a method.
    REQUESTS.labels(route, method if method in METHODS else "other", status).observe(seconds)
    facts = {"route": route, "method": method, "status": status, "ms": round(seconds * 1000, 2)}
    log.info("request", extra=facts)
    return response


def _end(_error: BaseException | None) -> None:
    IN_FLIGHT.dec()
