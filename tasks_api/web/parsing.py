"""How a request's body or query becomes the arguments of a view."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import marshmallow as ma
import orjson
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from ..dotnet import DotnetSchema
from ..errors import TOO_LARGE, UNSUPPORTED, ApiError, Problem
from .blueprint import View, camel_case, openapi_of
from .middleware import MAX_BODY_BYTES


class RequestSchema(DotnetSchema, ma.Schema):  # ma.Schema, so that DotnetSchema can be deleted
    """What a body or a query may contain. Names are in camelCase there; unknown ones are ignored.

    A load_default is a function, so that the OpenAPI document has no default, which would make the member mandatory.
    """

    problem: Problem  # raised if a request is malformed
    body_optional = False

    class Meta:
        unknown = ma.EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        """Give the field its name in camelCase."""
        field_obj.data_key = field_obj.data_key or camel_case(field_name)


def takes(schema: RequestSchema, location: str = "json") -> Callable[[View], View]:
    """Parse the request's body and give it to the view as its first argument.

    Args:
        schema: what the body may contain.
        location: "query" to parse the query instead.

    Raises:
        ApiError: the schema's problem; TOO_LARGE or UNSUPPORTED for a body.
    """

    def decorator(view: View) -> View:
        described = openapi_of(view)
        described["problems"].append(schema.problem)
        if location == "query":
            described["parameters"].append({"in": "query", "schema": schema})
        else:
            described["problems"] += [TOO_LARGE, UNSUPPORTED]
            content = {"application/json": {"schema": schema}}
            described["requestBody"] = {"content": content, "required": not schema.body_optional}

        @wraps(view)
        def parse(**path: Any) -> Any:
            data = _json(schema) if location == "json" else request.args.to_dict()
            return view(_loaded(schema, data), **path)

        return parse  # type: ignore[return-value]

    return decorator


def _loaded(schema: RequestSchema, data: Any) -> Any:
    try:
        return schema.load(data)
    except ma.ValidationError as error:
        messages = error.normalized_messages()
        if "_schema" in messages:
            raise ApiError(schema.problem, "The body must be a JSON object.") from None
        detail = "; ".join(f"{name} {reasons[0]}" for name, reasons in messages.items())
        raise ApiError(schema.problem, f"{detail}.", errors=messages) from None


def _json(schema: RequestSchema) -> Any:
    body = _body(schema.problem).removeprefix(b"\xef\xbb\xbf")  # a byte order mark
    if not body:
        if schema.body_optional:
            return {}
        raise ApiError(schema.problem, "The request needs a JSON body.")
    kind = request.mimetype
    is_json = kind in ("application/json", "text/json") or kind.endswith("+json")
    is_unnamed = schema.body_optional and not kind
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if (
        not (is_json or is_unnamed)
        or charset not in ("utf-8", "utf8")
        or request.content_encoding
    ):
        raise ApiError(UNSUPPORTED)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ApiError(schema.problem, "The body is not valid JSON.") from None


def _body(problem: Problem) -> bytes:
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        raise
    except Exception:  # gunicorn's: malformed chunks, or the client has gone
        raise ApiError(problem, "The body could not be read.") from None
    if len(body) < (request.content_length or 0):  # incomplete: RFC 9112, section 8
        raise ApiError(problem, "The body is incomplete.")
    # Werkzeug cuts a chunked body at the limit without an error.
    if len(body) > MAX_BODY_BYTES:
        raise ApiError(TOO_LARGE)
    return body
