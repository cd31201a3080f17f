"""Turns every failure into an answer (RFC 9457)."""

import logging

import orjson
from flask import Flask, Response
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from ..database.engine import is_unavailable
from ..errors import (
    A01,
    INTERNAL,
    L02,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    RATE_LIMITED,
    TOO_LARGE,
    UNAVAILABLE,
    UNSUPPORTED,
    ApiError,
    Problem,
)

log = logging.getLogger(__name__)

_BY_STATUS = {
    problem.status: problem
    for problem in (NOT_FOUND, METHOD_NOT_ALLOWED, TOO_LARGE, UNSUPPORTED, RATE_LIMITED)
}


def init_error_answers(app: Flask) -> None:
    """Register an answer for every exception."""
    app.register_error_handler(ApiError, render)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(SQLAlchemyError, _database_error)
    app.register_error_handler(Exception, _unexpected_error)


def render(error: ApiError) -> Response:
    """Return the answer for ``error``."""
    problem = error.problem
    body = problem.body(error.detail)
    if error.errors:
        body["errors"] = error.errors
    response = Response(
        orjson.dumps(body), problem.status, content_type="application/problem+json; charset=utf-8"
    )
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = _challenge(problem)
    if error.retry_after:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _challenge(problem: Problem) -> str:
    challenge = 'Bearer realm="tasks-api"'
    if problem in (A01, L02):
        return challenge
    # RFC 6750, section 3.1
    return f'{challenge}, error="invalid_token", error_description="{problem.detail}"'


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500:
        return _unexpected_error(error)
    code = error.name.lower().replace(" ", "_")
    other = Problem(code, status, error.name, f"{error.name}.")
    response = render(ApiError(_BY_STATUS.get(status, other)))
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _database_error(error: SQLAlchemyError) -> Response:
    if not is_unavailable(error):
        return _unexpected_error(error)
    reason = getattr(error, "orig", None) or type(error).__name__
    log.error("the database does not answer: %s", reason)
    return render(ApiError(UNAVAILABLE))


def _unexpected_error(error: Exception) -> Response:
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return render(ApiError(INTERNAL))
