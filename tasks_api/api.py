"""What every route of the API is declared with: blueprint, body and query parsing, documented errors.

flask-smorest generates the OpenAPI document from the schemas that parse and produce; this module gives it
the rules of the wire contract: which names and types a body may have, and what a refusal looks like.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar, cast

import marshmallow as ma
import orjson
from flask import Request, Response
from flask.json.provider import JSONProvider
from flask_smorest import Api as SmorestApi
from flask_smorest import Blueprint as SmorestBlueprint
from marshmallow import fields
from webargs.core import is_json
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException

from .clock import to_smalldatetime
from .errors import TOO_LARGE, UNSUPPORTED, ApiError, Problem

View = TypeVar("View", bound=Callable[..., Any])

# What .NET reads: date, time to the minute or finer with up to seven digits, offset or none.
_ISO_8601 = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)


class Json(JSONProvider):
    """orjson instead of the standard library: faster, and strict about UTF-8 and duplicate-free output."""

    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        """Encode; times in UTC end in Z."""
        return orjson.dumps(obj, option=orjson.OPT_UTC_Z).decode()

    def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
        """Decode."""
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """A JSON response of one value."""
        body = orjson.dumps(self._prepare_response_obj(args, kwargs), option=orjson.OPT_UTC_Z)
        return Response(body, mimetype="application/json")


class Schema(ma.Schema):
    """Names are in snake_case here and in camelCase on the wire."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Name a field for the wire, if it has no name of its own there."""
        first, *rest = field_name.split("_")
        field_obj.data_key = field_obj.data_key or first + "".join(word.title() for word in rest)


class RequestSchema(Schema):
    """What a request may carry. Names match without case, unknown ones are ignored, null is not given."""

    problem: Problem  # the catalogue's entry for a request that does not parse
    null_is_absent = True
    body_optional = False

    class Meta:
        unknown = ma.EXCLUDE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._names = {str(field.data_key).lower(): str(field.data_key) for field in self.fields.values()}

    @ma.pre_load
    def fold_names(self, data: Mapping[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Find each member whatever its case. The last of several wins, as in ASP.NET."""
        if not isinstance(data, Mapping):
            raise ma.ValidationError("must be a JSON object")
        folded = {self._names.get(name.lower(), name): value for name, value in data.items()}
        return {name: value for name, value in folded.items() if value is not None or not self.null_is_absent}


def utf16_length(text: str) -> int:
    """The length of ``text`` as nvarchar and .NET count it."""
    return len(text.encode("utf-16-le")) // 2


class Text(fields.String):
    """Text of 1 to ``most`` UTF-16 units. Blanks alone are nothing, unless ``blank``."""

    def __init__(
        self, most: int, *, blank: bool = False, metadata: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(metadata={"minLength": 1, "maxLength": most} | (metadata or {}), **kwargs)
        self.most = most
        self.blank = blank

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if not text or not (self.blank or text.strip()):
            raise ma.ValidationError("is missing")
        if utf16_length(text) > self.most:
            raise ma.ValidationError(f"must have at most {self.most} characters")
        if "\0" in text:
            raise ma.ValidationError("must not contain the character NUL")
        return text


class Boolean(fields.Boolean):
    """JSON's true and false, and nothing that looks like them."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ma.ValidationError("must be true or false")
        return value


class Timestamp(fields.DateTime):
    """A time in ISO 8601 that fits smalldatetime. Without an offset it is UTC."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> datetime:
        if not isinstance(value, str) or not _ISO_8601.fullmatch(value):
            raise ma.ValidationError("must be a time like 2026-01-31T12:00:00Z")
        try:
            moment = datetime.fromisoformat(value)
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
            return to_smalldatetime(moment)
        except (ValueError, OverflowError):
            raise ma.ValidationError("must be a time from 1900-01-01 to 2079-06-06") from None


class ResponseSchema(Schema):
    """What an answer carries. The values have the types that the JSON encoder writes, so a dump only renames.

    For a page of twenty tasks that takes 20 microseconds; marshmallow's own, which calls each field, takes 190.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._members = [(field.data_key, name) for name, field in self.dump_fields.items()]

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """The members of a row or a mapping, or of each of many."""
        if self.many if many is None else many:
            return [self.dump(each, many=False) for each in obj]
        values = getattr(obj, "_mapping", obj)
        return {member: values[name] for member, name in self._members}


class Parser(FlaskParser):
    """Reads bodies and queries; what does not parse is an ApiError of the schema's own problem."""

    DEFAULT_VALIDATION_STATUS = 400

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """The request's JSON object."""
        wanted = cast(RequestSchema, schema)
        problem = wanted.problem
        try:
            body = req.get_data()
        except HTTPException:
            raise
        except Exception:  # the server's own: chunks that are none, a client that went away
            raise ApiError(problem, "The body could not be read.") from None
        if len(body) >= (req.max_content_length or 0):
            raise ApiError(TOO_LARGE)
        if not body:
            if wanted.body_optional:
                return {}
            raise ApiError(problem, "The request needs a JSON body.")
        if not is_json(req.mimetype) and not (wanted.body_optional and not req.mimetype):
            raise ApiError(UNSUPPORTED)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ApiError(problem, "The body is not valid JSON.") from None

    def handle_error(self, error: ma.ValidationError, req: Request, schema: ma.Schema, **_kwargs: Any) -> NoReturn:
        """Raise the schema's problem, naming each field."""
        messages = error.normalized_messages()
        messages = cast(dict[str, Any], messages.get("json") or messages.get("query") or messages)
        general = messages.pop("_schema", None)
        named = "; ".join(f"{name} {_first(what)}" for name, what in messages.items())
        detail = f"{named or 'The body ' + _first(general)}."
        raise ApiError(cast(RequestSchema, schema).problem, detail, errors=messages) from None


def _first(messages: Any) -> str:
    return str(messages[0] if isinstance(messages, list) and messages else messages).rstrip(".").lower()


class ProblemSchema(Schema):
    """Every error of every route (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    error_code = fields.String(required=True, metadata={"description": "for programs"})
    error = fields.String(required=True, metadata={"description": "for people; the same as detail"})
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))


class Blueprint(SmorestBlueprint):  # type: ignore[misc]
    """flask-smorest's, with our parser and documented errors."""

    ARGUMENTS_PARSER = Parser()

    def errors(self, *problems: Problem) -> Callable[[View], View]:
        """Document that a view answers with ``problems``."""

        def decorator(view: View) -> View:
            for status in sorted({problem.status for problem in problems}):
                entries = [problem for problem in problems if problem.status == status]
                document = self.alt_response(
                    status,
                    schema=ProblemSchema,
                    content_type="application/problem+json",
                    description="; ".join(f"`{entry.code}`: {entry.detail}" for entry in entries),
                    examples={
                        entry.code: {"summary": entry.title, "value": entry.body(entry.detail)} for entry in entries
                    },
                )
                # flask-smorest would put a function around the view for each of them, and call them all.
                cast(Any, view)._apidoc = document(view)._apidoc
            return view

        return decorator


class Api(SmorestApi):  # type: ignore[misc]
    """flask-smorest's, leaving error answers to ``errors.py``."""

    def _register_error_handlers(self) -> None:
        pass
