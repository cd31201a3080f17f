"""/.well-known/jwks.json: the keys with which other services verify access tokens (RFC 7517)."""

import orjson
from flask import Blueprint, Response

from ..web.blueprint import JSON
from .keys import current_keys

MAX_AGE_SECONDS = 300  # how long other services may keep the keys

jwks = Blueprint("jwks", __name__)


@jwks.get("/.well-known/jwks.json")
def public_keys() -> Response:
    """Return the public keys of access tokens, newest first (RFC 7517)."""
    response = Response(orjson.dumps({"keys": current_keys().public}), content_type=JSON)
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    return response
