"""/openapi.json, generated from the decorators of the views, and /swagger, a page to try the API.

Swagger UI's files come from the package flask-swagger-ui; the page loads nothing from another server.
"""

import re
from pathlib import Path
from typing import Any, cast

import flask_swagger_ui
import orjson
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import (
    Blueprint as FlaskBlueprint,
)
from flask import (
    Flask,
    Response,
    current_app,
    render_template,
    request,
    send_from_directory,
)
from marshmallow import fields

from ..errors import Problem
from .blueprint import JSON, Blueprint, ResponseSchema, camel_case, openapi_of

SWAGGER_FILES = Path(flask_swagger_ui.__file__).parent / "dist"
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PATH_PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
_PARAMETER_SCHEMAS = {
    "id": {"type": "integer"},
    "uuid": {"type": "string", "format": "uuid"},
}
_INFO = {
    "description": "Sign up, log in, refresh, and keep a list of tasks. Every error is "
    "`application/problem+json`; `errorCode` is for programs, `error` for people.",
    "contact": {"name": "The operator of this service"},
    "license": {"name": "MIT", "identifier": "MIT"},
}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
_ERROR_HEADERS: dict[int, Any] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "RFC 6750"}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}


class ProblemResponse(ResponseSchema):
    """Every error of every route (RFC 9457)."""

    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    error_code = fields.String(metadata={"description": "for programs"})
    error = fields.String(metadata={"description": "for people; the same as detail"})
    errors = fields.Dict(
        fields.String(),
        fields.List(fields.String()),
        metadata={"description": "messages by member, if a body or a query is malformed"},
    )

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Let errors be missing."""
        super().on_bind_field(field_name, field_obj)
        field_obj.required = field_name != "errors"


swagger = FlaskBlueprint(
    "swagger",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/swagger/own",
)


def init_openapi(app: Flask, version: str, cookie_name: str) -> None:
    """Serve the OpenAPI document and Swagger UI. The blueprints must be registered before.

    Args:
        app: the application.
        version: of the API.
        cookie_name: of the cookie that can hold a refresh token.
    """
    app.register_blueprint(swagger)
    spec = APISpec("Tasks API", version, "3.1.0", plugins=[MarshmallowPlugin()], info=_INFO)
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    bearer["description"] = "the accessToken of a login"  # Swagger shows it at Authorize
    cookie = {"type": "apiKey", "in": "cookie", "name": cookie_name}
    cookie["description"] = "set by the browser: leave it empty"
    spec.components.security_scheme("bearer", bearer)
    spec.components.security_scheme("cookie", cookie)
    for name, blueprint in app.blueprints.items():
        if isinstance(blueprint, Blueprint):
            spec.tag({"name": name})
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if "openapi" in vars(view):
            blueprint = cast(Blueprint, app.blueprints[rule.endpoint.rpartition(".")[0]])
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            path = _PATH_PARAMETER.sub(r"{\2}", rule.rule)
            spec.path(path, operations={method.lower(): _operation(view, blueprint, rule.rule)})
    app.extensions["openapi"] = spec.to_dict()


def _operation(view: Any, blueprint: Blueprint, rule: str) -> dict[str, Any]:
    described = dict(openapi_of(view))
    security: dict[str, Any] = {"security": [{"bearer": []}]} if blueprint.guard else {}
    errors = _errors([*described.pop("problems"), *blueprint.problems])
    summary, _, description = view.__doc__.partition("\n\n")
    return (
        security
        | described
        | {
            "operationId": camel_case(view.__name__),
            "summary": summary,
            "description": " ".join(description.split()),
            "tags": [blueprint.name],
            "parameters": _path_parameters(rule) + described["parameters"],
            "responses": errors | described["responses"],
        }
    )


def _errors(problems: list[Problem]) -> dict[int, Any]:
    by_status: dict[int, list[Problem]] = {}
    for problem in dict.fromkeys(problems):
        by_status.setdefault(problem.status, []).append(problem)
    return {status: _error(status, entries) for status, entries in by_status.items()}


def _error(status: int, problems: list[Problem]) -> dict[str, Any]:
    examples = {
        problem.code: {"summary": problem.title, "value": problem.body(problem.detail)}
        for problem in problems
    }
    content = {"schema": ProblemResponse, "examples": examples}
    return {
        "description": " ".join(f"`{problem.code}`: {problem.detail}" for problem in problems),
        "headers": _ERROR_HEADERS.get(status, {}),
        "content": {"application/problem+json": content},
    }


def _path_parameters(rule: str) -> list[dict[str, Any]]:
    return [
        {
            "in": "path",
            "name": name,
            "required": True,
            "schema": _PARAMETER_SCHEMAS.get(converter, {"type": "string"}),
        }
        for converter, name in _PATH_PARAMETER.findall(rule)
    ]


@swagger.get("/openapi.json")
def document() -> Response:
    """Return the OpenAPI document."""
    # A proxy or SCRIPT_NAME can add a prefix. Each operation sets its own security.
    here = {"servers": [{"url": f"{request.script_root}/"}], "security": []}
    return Response(
        orjson.dumps(current_app.extensions["openapi"] | here, option=orjson.OPT_NON_STR_KEYS),
        content_type=JSON,
    )


@swagger.get("/swagger", strict_slashes=False)
def show() -> Response:
    """Return Swagger UI's page."""
    response = Response(render_template("swagger.html"), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _CONTENT_POLICY
    return response


@swagger.get("/swagger/assets/<path:name>")
def asset(name: str) -> Response:
    """Return one of Swagger UI's files."""
    return send_from_directory(SWAGGER_FILES, name, max_age=86_400)
