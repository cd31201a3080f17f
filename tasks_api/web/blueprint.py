"""What every route of the API is declared with: blueprint, body and query parsing, documented errors.

flask-smorest generates the OpenAPI document from the schemas that parse and produce; this module gives it
the wire contract's way to refuse.
"""

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, cast

import marshmallow as ma
import orjson
from flask import Request, request
from flask.json.provider import DefaultJSONProvider
from flask_smorest import Api as SmorestApi
from flask_smorest import Blueprint as SmorestBlueprint
from webargs.core import is_json
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from ..errors import A01, A02, A03, A04, TOO_LARGE, UNAVAILABLE, UNSUPPORTED, ApiError, Problem
from .schemas import ProblemSchema, RequestSchema, camel_case

_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
# Of errors, by status.
_HEADERS: dict[int, Any] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "RFC 6750"}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}

_PROBLEM = ProblemSchema()

View = TypeVar("View", bound=Callable[..., Any])


class Json(DefaultJSONProvider):
    """orjson instead of the standard library for answers: faster, and strict about UTF-8."""

    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        """Encode; times in UTC end in Z."""
        return orjson.dumps(obj, option=orjson.OPT_UTC_Z).decode()


class Parser(FlaskParser):
    """Reads bodies and queries; what does not parse is an ApiError of the schema's own problem."""

    DEFAULT_VALIDATION_STATUS = 400

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """The request's JSON object."""
        wanted = cast(RequestSchema, schema)
        body = _body(req, wanted.problem).removeprefix(b"\xef\xbb\xbf")
        if not body:
            if wanted.body_optional:
                return {}
            raise ApiError(wanted.problem, "The request needs a JSON body.")
        is_unnamed = wanted.body_optional and not req.mimetype
        if not (is_json(req.mimetype) or req.mimetype == "text/json" or is_unnamed):
            raise ApiError(UNSUPPORTED)
        charset = req.mimetype_params.get("charset", "utf-8").lower()
        if charset not in ("utf-8", "utf8") or req.content_encoding:
            raise ApiError(UNSUPPORTED)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ApiError(wanted.problem, "The body is not valid JSON.") from None

    def handle_error(
        self, error: ma.ValidationError, req: Request, schema: ma.Schema, **_kwargs: Any
    ) -> NoReturn:
        """Raise the schema's problem, naming each field."""
        (found,) = error.normalized_messages().values()  # of the one place that was read
        general = found.pop("_schema", ())
        reasons = [f"{name} {messages[0]}" for name, messages in found.items()]
        reasons += [f"The body {message}" for message in general]
        detail = "; ".join(reason.rstrip(".") for reason in reasons) + "."
        raise ApiError(cast(RequestSchema, schema).problem, detail, errors=found) from None


def _body(req: Request, problem: Problem) -> bytes:
    try:
        body = req.get_data()
    except RequestEntityTooLarge:
        raise
    except Exception:  # the server's own: chunks that are none, a client that went away
        raise ApiError(problem, "The body could not be read.") from None
    if len(body) < (req.content_length or 0):  # RFC 9112, section 8: not to be acted upon
        raise ApiError(problem, "The body is not whole.")
    # A chunked one is cut off there without a word.
    if len(body) >= (req.max_content_length or 0):
        raise ApiError(TOO_LARGE)
    return body


class Blueprint(SmorestBlueprint):  # type: ignore[misc]
    """flask-smorest's, with our parser and documented errors.

    Args:
        guard: called before each request; it lets in only who has a good access token.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(
        self, name: str, prefix: str, description: str, guard: Callable[[], None] | None = None
    ) -> None:
        super().__init__(name, __name__, url_prefix=prefix, description=description)
        self.common: tuple[Problem, ...] = (UNAVAILABLE,)
        if guard:
            # A browser asks with OPTIONS, and without a token, whether it may send one.
            self.before_request(lambda: None if request.method == "OPTIONS" else guard())
            self.common = (A01, A02, A03, A04, UNAVAILABLE)

    def errors(self, *problems: Problem) -> Callable[[View], View]:
        """Document that a view answers with ``problems``, and what its body or query can be refused with."""

        def decorator(view: View) -> View:
            found = [*problems, *self.common]
            arguments = cast(Any, view)._apidoc.get("arguments", {})
            for argument in arguments.get("parameters", []):
                found.append(argument["schema"].problem)
                if argument["in"] == "json":
                    found += [TOO_LARGE, UNSUPPORTED]
            about: dict[str, Any] = {
                "operationId": camel_case(view.__name__),
                "responses": _responses(found),
            }
            if A01 in self.common:
                about["security"] = [{"bearer": []}]
            return cast(View, self.doc(**about)(view))

        return decorator


def _responses(problems: list[Problem]) -> dict[int, Any]:
    by_status: dict[int, list[Problem]] = {}
    for problem in problems:
        by_status.setdefault(problem.status, []).append(problem)
    responses: dict[int, Any] = {}
    for status, entries in by_status.items():
        examples = {
            entry.code: {"summary": entry.title, "value": entry.body(entry.detail)}
            for entry in entries
        }
        responses[status] = {
            "description": "; ".join(f"`{entry.code}`: {entry.detail}" for entry in entries),
            "headers": _HEADERS.get(status, {}),
            "content": {"application/problem+json": {"schema": _PROBLEM, "examples": examples}},
        }
    return responses


class Api(SmorestApi):  # type: ignore[misc]
    """flask-smorest's, without what it documents and this service never sends."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _init_spec(self, **kwargs: Any) -> None:
        super()._init_spec(**kwargs)
        # Members with a default are mandatory in what generators make.
        converter = self.ma_plugin.converter
        converter.attribute_functions = [
            each for each in converter.attribute_functions if each.__name__ != "field2default"
        ]

    def _register_responses(self) -> None:
        """The answers are those of ``Blueprint.errors``."""

    def _register_pagination_header(self) -> None:
        """Pages are linked in Link."""
