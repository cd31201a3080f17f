"""The access log, the metrics of requests, and the request id."""

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from .metrics import IN_FLIGHT, REQUESTS

log = logging.getLogger("tasks_api.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def init_access_log(app: Flask) -> None:
    """Count and log every request."""
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(lambda _error: IN_FLIGHT.dec())


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
    g.log_facts = {"request_id": request_id, "address": request.remote_addr}
    IN_FLIGHT.inc()


def _finish(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.log_facts["request_id"]
    seconds = time.perf_counter() - g.started
    # Label by URL rule, not by path, and not by the method of an unmatched request: each new label value takes memory.
    rule = request.url_rule
    route, method = (rule.rule, request.method) if rule else ("unmatched", "any")
    REQUESTS.labels(route, method, response.status_code).observe(seconds)
    facts = {"route": route, "method": method, "status": response.status_code}
    log.info("request", extra=facts | {"ms": round(seconds * 1000, 2)})
    return response
