"""What routes are declared with: a blueprint with a guard, and what a view takes, returns and refuses.

The decorators ``takes`` (in parsing.py), ``returns`` and ``refuses`` also describe the view; openapi.py makes the
OpenAPI document of that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import marshmallow as ma
import orjson
from flask import Blueprint as FlaskBlueprint
from flask import Response, request

from ..errors import UNAVAILABLE, Problem

View = TypeVar("View", bound=Callable[..., Any])
JSON = "application/json; charset=utf-8"


def camel_case(name: str) -> str:
    """Return the camelCase of a name in snake_case."""
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def openapi_of(view: Callable[..., Any]) -> dict[str, Any]:
    """Return the view's part of the OpenAPI document. A view and its wrappers share it, because wraps() copies it.

    Its member "problems" is ours; openapi.py makes responses of it.
    """
    empty: dict[str, Any] = {"parameters": [], "responses": {}, "problems": []}
    found: dict[str, Any] = vars(view).setdefault("openapi", empty)
    return found


@dataclass(frozen=True)
class Guard:
    """Decides whether a request is let in, before its view is called.

    Args:
        check: raises an ApiError to refuse the request.
        problems: those that ``check`` can raise.
    """

    check: Callable[[], None]
    problems: tuple[Problem, ...]


class Blueprint(FlaskBlueprint):
    """Flask's, with a guard for all of its routes.

    Args:
        name: unique in the application.
        prefix: of its paths.
        guard: None lets every request in.
    """

    def __init__(self, name: str, prefix: str, guard: Guard | None = None) -> None:
        super().__init__(name, __name__, url_prefix=prefix)
        self.guard = guard
        self.problems = (*(guard.problems if guard else ()), UNAVAILABLE)
        if guard:
            # A browser sends OPTIONS without a token, to ask whether it may send a request.
            self.before_request(lambda: None if request.method == "OPTIONS" else guard.check())


class ResponseSchema(ma.Schema):
    """What an answer contains. Names are in camelCase there, and every member is always present."""

    class Meta:
        # A later version may add members, so the document must not exclude them.
        unknown = ma.INCLUDE

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        """Give the field its name in camelCase."""
        field_obj.data_key = field_obj.data_key or camel_case(field_name)
        field_obj.required = True


def refuses(*problems: Problem, security: Any = None) -> Callable[[View], View]:
    """Declare the problems that a view answers with, beside those of its schema and its guard.

    Args:
        problems: of the catalogue.
        security: the OpenAPI security requirement, if it is not the guard's.
    """

    def decorator(view: View) -> View:
        openapi_of(view)["problems"] += problems
        if security:
            openapi_of(view)["security"] = security
        return view

    return decorator


def returns(
    schema: ResponseSchema | None, status: int = 200, headers: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Make a JSON answer of what the view returns: a row, a mapping, a list, or a tuple of that and headers.

    Args:
        schema: of the answer; None for an answer without body.
        status: of the answer.
        headers: described for the OpenAPI document.
    """

    def decorator(view: Callable[..., Any]) -> Callable[..., Response]:
        response: dict[str, Any] = {"description": "Success", "headers": headers or {}}
        if schema:
            response["content"] = {"application/json": {"schema": schema}}
        openapi_of(view)["responses"][status] = response
        render = _renderer(schema)

        @wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Response:
            result = view(*args, **kwargs)
            value, more = result if type(result) is tuple else (result, None)
            return Response(render(value), status, more, content_type=JSON)

        return answer

    return decorator


def _renderer(schema: ResponseSchema | None) -> Callable[[Any], bytes]:
    """Make a fast serializer: it renames the members and does not call marshmallow's fields.

    For twenty tasks this takes 20 microseconds, and marshmallow's dump takes 190. Fields with a serialization of their
    own are not supported; a test refuses them.
    """
    if schema is None:
        return lambda _value: b""
    members = [(each.data_key, name) for name, each in schema.dump_fields.items()]

    def rename(row: Any) -> dict[str | None, Any]:
        values = getattr(row, "_mapping", row)
        return {member: values[name] for member, name in members}

    def render(value: Any) -> bytes:
        renamed = [rename(row) for row in value] if schema.many else rename(value)
        # Times to the second, in UTC, with Z.
        return orjson.dumps(renamed, option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS)

    return render
