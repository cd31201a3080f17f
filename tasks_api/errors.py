"""The error catalogue: every error that a client can get.

Services raise ``ApiError`` with one of these problems; ``web/error_answers.py`` turns it into the answer. The letter of
a code says what it is about: L login, R refresh, S signup and account, P password, T task, D delete, A access token.
Most are the .NET original's. Codes that are words are for many routes, or come from a standard.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Problem(NamedTuple):
    """One kind of failure: ``code`` is for programs, ``detail`` is for people."""

    code: str
    status: int
    title: str
    detail: str
    retry_after: int | None = None  # seconds

    def body(self, detail: str) -> dict[str, object]:
        """Return the members of the JSON body: those of RFC 9457, and errorCode and error of the .NET original."""
        return {
            "type": f"urn:tasks-api:problem:{self.code}",  # an identifier, not a link
            "title": self.title,
            "status": self.status,
            "detail": detail,
            "errorCode": self.code,
            "error": detail,
        }


L01 = Problem("L01", 400, "Incomplete login", "Email and password are needed to log in.")
L02 = Problem("L02", 401, "Login refused", "Email or password is wrong.")
R01 = Problem(
    "R01",
    400,
    "Incomplete refresh or logout",
    "The refresh token details are missing or malformed.",
)
S01 = Problem("S01", 400, "Incomplete account details", "Something is missing or malformed.")
S02 = Problem("S02", 422, "Email taken", "A user with this email exists already.")
S03 = Problem("S03", 422, "Passwords differ", "Password and confirmation are not the same.")
S04 = Problem(
    "S04",
    422,
    "Weak password",
    "The password is too short or easy to guess.",
)
P01 = Problem("P01", 422, "Wrong password", "The current password is wrong.")
T00 = Problem(
    "T00",
    400,
    "Incomplete task",
    "Something about the task or the query is missing or malformed.",
)
T01 = Problem("T01", 404, "No such task", "You have no task with this id.")
D01 = Problem("D01", 400, "Invalid task id", "The id of the task to delete is 0 or not a number.")
INVALID_GRANT = Problem(
    "invalid_grant", 400, "Invalid refresh token", "The refresh token is not valid any more."
)
A01 = Problem(
    "A01",
    401,
    "Access token missing",
    "This needs an access token in the header Authorization: Bearer.",
)
A02 = Problem("A02", 401, "Access token expired", "The access token has expired.")
A03 = Problem("A03", 401, "Access token invalid", "The access token is not valid.")
A04 = Problem("A04", 401, "Session over", "The session of this access token is over.")
CROSS_ORIGIN = Problem(
    "cross_origin",
    403,
    "Another origin",
    "A web page of another origin must not use this cookie.",
)
NOT_FOUND = Problem("not_found", 404, "Not found", "This URL does not exist.")
METHOD_NOT_ALLOWED = Problem(
    "method_not_allowed", 405, "Method not allowed", "This URL does not allow this method."
)
TOO_LARGE = Problem("too_large", 413, "Body too large", "The request body is larger than 64 KiB.")
UNSUPPORTED = Problem(
    "unsupported_media_type",
    415,
    "Unsupported media type",
    "The body must be application/json in UTF-8, not compressed.",
)
RATE_LIMITED = Problem(
    "rate_limited", 429, "Too many attempts", "Too many attempts: wait before the next one."
)
INTERNAL = Problem(
    "internal",
    500,
    "Internal error",
    "Something went wrong in the service. Its log has the details: search for the X-Request-ID.",
)
UNAVAILABLE = Problem(
    "unavailable",
    503,
    "Unavailable",
    "The database does not answer. Try again later.",
    retry_after=5,
)


class ApiError(Exception):
    """The request is refused.

    Args:
        problem: one of the catalogue.
        detail: replaces the problem's detail.
        errors: messages by field, for a body or a query that is malformed.
        retry_after: seconds.
    """

    def __init__(
        self,
        problem: Problem,
        detail: str | None = None,
        *,
        errors: Mapping[str, object] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.detail = detail or problem.detail
        self.errors = errors
        self.retry_after = retry_after or problem.retry_after
