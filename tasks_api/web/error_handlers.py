"""The one place that turns a failure into an answer (RFC 9457)."""

import logging

import orjson
from flask import Flask, Response
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from ..database.engine import does_not_answer
from ..errors import (
    A01,
    INTERNAL,
    L02,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    TOO_LARGE,
    UNAVAILABLE,
    UNSUPPORTED,
    ApiError,
    Problem,
)

log = logging.getLogger(__name__)

_BY_STATUS = {
    problem.status: problem for problem in (NOT_FOUND, METHOD_NOT_ALLOWED, TOO_LARGE, UNSUPPORTED)
}


def init_error_handlers(app: Flask) -> None:
    """Answer every exception in the catalogue's form."""
    app.register_error_handler(ApiError, render)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(SQLAlchemyError, _database)
    app.register_error_handler(Exception, _unexpected)


def render(error: ApiError) -> Response:
    """The response for ``error``."""
    problem = error.problem
    body = problem.body(error.detail)
    if error.errors:
        body["errors"] = error.errors
    response = Response(orjson.dumps(body), problem.status, mimetype="application/problem+json")
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


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status >= 500:
        return _unexpected(error)
    name = error.name.lower().replace(" ", "_")
    other = Problem(name, status, error.name, f"{error.name}.")
    response = render(ApiError(_BY_STATUS.get(status, other)))
    response.headers.extend(
        (header, value) for header, value in error.get_headers() if header == "Allow"
    )
    return response


def _database(error: SQLAlchemyError) -> Response:
    if not does_not_answer(error):
        return _unexpected(error)
    reason = getattr(error, "orig", None) or type(error).__name__
    log.error("database does not answer: %s", reason)
    return render(ApiError(UNAVAILABLE))


def _unexpected(error: Exception) -> Response:
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return render(ApiError(INTERNAL))
