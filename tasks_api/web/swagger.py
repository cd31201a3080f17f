"""/openapi.json and /swagger: the API described by the schemas that parse and produce, and a page to try it.

Swagger UI's files come from the package flask-swagger-ui; nothing is fetched from anywhere else.
"""

from pathlib import Path
from typing import Any

import flask_swagger_ui
import orjson
from flask import (
    Blueprint,
    Response,
    current_app,
    render_template,
    request,
    send_from_directory,
)

ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

swagger = Blueprint(
    "swagger",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/swagger/own",
)


def about(version: str) -> dict[str, Any]:
    """What the document says of the API as a whole."""
    return {
        "title": "Tasks API",
        "version": version,
        "openapi_version": "3.1.0",
        "info": {
            "description": "Sign up, log in, refresh, and keep a list of tasks. Every error is "
            "`application/problem+json`; `errorCode` is for programs, `error` for people.",
            "contact": {"name": "Whoever runs this service"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "tasks_refresh"},
            },
        },
    }


@swagger.get("/openapi.json")
def document() -> Response:
    """The OpenAPI document."""
    spec = current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec
    # Below the prefix that a server (SCRIPT_NAME) or a trusted proxy gives it.
    servers = [{"url": f"{request.script_root}/"}]
    # Open, but for the operations that say otherwise.
    described = spec.to_dict() | {"servers": servers, "security": []}
    return Response(orjson.dumps(described), mimetype="application/json")


@swagger.get("/swagger", strict_slashes=False)
def show() -> Response:
    """Swagger UI."""
    response = Response(render_template("swagger.html"), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@swagger.get("/swagger/assets/<path:name>")
def asset(name: str) -> Response:
    """One of Swagger UI's files."""
    return send_from_directory(ASSETS, name, max_age=86_400)
