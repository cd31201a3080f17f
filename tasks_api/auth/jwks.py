"""The public halves of the keys of access tokens, for services that verify them (RFC 7517)."""

from flask import Blueprint, Response, jsonify

from ..config import settings

MAX_AGE = 300  # seconds; a new key is announced so long before it signs, or its first tokens are refused elsewhere

jwks = Blueprint("jwks", __name__)


@jwks.get("/.well-known/jwks.json")
def public_keys() -> Response:
    """The keys, newest first."""
    response = jsonify(keys=[key.jwk for key in settings.token_keys if key.jwk])
    response.headers["Cache-Control"] = f"public, max-age={MAX_AGE}"
    return response
