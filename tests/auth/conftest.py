"""Rows of [User] as the .NET original writes them; access tokens with any claims; the session's row."""

import json
from pathlib import Path
from typing import Any

import jwt
from flask import Flask

from tasks_api.auth.keys import secret_key
from tasks_api.database.tables import session_table
from tests.conftest import Person, stored

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "password-vectors.json").read_text()
)["vectors"]

KEY = "k" * 64  # long enough for HS512
KID = secret_key(KEY.encode()).kid


def claims_of(person: Person, audience: str = "tasks-api") -> dict[str, Any]:
    return jwt.decode(person.access, KEY, ["HS256"], audience=audience)


def signed(
    claims: dict[str, Any], key: str = KEY, algorithm: str | None = "HS256", kid: str = KID
) -> str:
    return jwt.encode(claims, key, algorithm, headers={"kid": kid})


def row_of(app: Flask) -> Any:
    """The row of the only session."""
    (row,) = stored(app, session_table)
    return row
