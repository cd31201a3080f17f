"""The floor: the same routes as bare WSGI, with PyJWT, the standard library's sqlite3, orjson and no framework.

It checks signature, issuer, audience and expiry of access tokens, but no session, validates nothing and logs
nothing: what is left is what Python and gunicorn cost. Its refresh is this service's algorithm, its login the
same password hash.
"""

import os
import sqlite3
import threading
import time
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from hashlib import pbkdf2_hmac
from typing import Any

import jwt
import orjson

from tasks_api.auth import refresh_tokens as tokens

KEY = os.environ["TASKS_JWT_SECRET_KEY"]
KEYRING = tokens.Keyring([os.environ["TASKS_REFRESH_TOKEN_KEY"].encode()])
_local = threading.local()


def database() -> sqlite3.Connection:
    """The connection of the thread."""
    if not hasattr(_local, "connection"):
        path = os.path.join(os.environ["TASKS_INSTANCE_PATH"], "tasks.db")  # noqa: PTH118
        _local.connection = connection = sqlite3.connect(path, isolation_level=None, timeout=5)
        connection.execute("PRAGMA synchronous = FULL")
    return _local.connection  # type: ignore[no-any-return]


def issue(user_id: int, session_id: str) -> str:
    """An access token."""
    moment = int(time.time())
    common = {"iss": "tasks-api", "aud": "tasks-api", "type": "access", "jti": str(uuid.uuid4())}
    times = {"iat": moment, "nbf": moment, "exp": moment + 900}
    return jwt.encode({"sub": str(user_id), "sid": session_id, **common, **times}, KEY, "HS256")


def caller(environ: dict[str, Any]) -> int:
    """The user of the request's access token."""
    token = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    return int(jwt.decode(token, KEY, ["HS256"], audience="tasks-api", issuer="tasks-api")["sub"])


def body(environ: dict[str, Any]) -> Any:
    """The request's JSON."""
    return orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def health(_environ: dict[str, Any]) -> Any:
    """Up."""
    return {"status": "ok"}


def list_tasks(environ: dict[str, Any]) -> Any:
    """Twenty tasks."""
    query = "SELECT Id, Name, IsCompleted, TS FROM Task WHERE UserId = ? ORDER BY Id LIMIT 20"
    rows = database().execute(query, (caller(environ),))
    return [
        {"id": i, "name": name, "isCompleted": bool(done), "ts": ts}
        for i, name, done, ts in rows.fetchall()
    ]


def add_task(environ: dict[str, Any]) -> Any:
    """One more task."""
    user, task = caller(environ), body(environ)
    ts = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:00")
    statement = "INSERT INTO Task (UserId, Name, IsCompleted, TS) VALUES (?, ?, 0, ?)"
    cursor = database().execute(statement, (user, task["name"], ts))
    return {"id": cursor.lastrowid, "name": task["name"], "isCompleted": False, "ts": ts}


def refresh(environ: dict[str, Any]) -> Any:
    """The next pair of tokens."""
    token = tokens.decode(body(environ)["refreshToken"])
    session_id = str(token.session_id)
    query = "SELECT UserId, TokenHash, TokenSalt, Counter FROM RefreshToken WHERE SessionId = ?"
    user, stored, salt, counter = database().execute(query, (session_id,)).fetchone()
    if not (
        KEYRING.made(token, salt)
        and token.counter == counter
        and tokens.has_hash(token, salt, stored)
    ):
        raise PermissionError
    successor = KEYRING.make(token.session_id, counter + 1, salt)
    moment = datetime.now(UTC).replace(tzinfo=None)
    statement = (
        "UPDATE RefreshToken SET Counter = ?, TokenHash = ?, ExpiryDate = ?, RotatedAt = ?"
        " WHERE SessionId = ? AND Counter = ?"
    )
    fresh = (
        tokens.token_hash(successor, salt),
        str(moment + timedelta(days=14))[:19],
        str(moment)[:23],
    )
    if database().execute(statement, (counter + 1, *fresh, session_id, counter)).rowcount != 1:
        raise PermissionError
    return {"accessToken": issue(user, session_id), "refreshToken": str(successor), "userId": user}


def log_in(environ: dict[str, Any]) -> Any:
    """A new session."""
    given = body(environ)
    query = "SELECT Id, Password, PasswordSalt FROM User WHERE Email = ?"
    user, stored, password_salt = database().execute(query, (given["email"],)).fetchone()
    iterations, key = stored.split("$")[-2:] if "$" in stored else (100_000, stored)
    if pbkdf2_hmac(
        "sha256", given["password"].encode(), b64decode(password_salt), int(iterations)
    ) != b64decode(key):
        raise PermissionError
    session, salt = uuid.uuid4(), tokens.new_salt()
    token = KEYRING.make(session, 0, salt)
    moment = datetime.now(UTC).replace(tzinfo=None)
    columns = "UserId, TokenHash, TokenSalt, TS, ExpiryDate, SessionId"
    statement = f"INSERT INTO RefreshToken ({columns}) VALUES (?, ?, ?, ?, ?, ?)"
    row = (
        user,
        tokens.token_hash(token, salt),
        salt,
        str(moment)[:19],
        str(moment + timedelta(days=14))[:19],
    )
    database().execute(statement, (*row, str(session)))
    return {"accessToken": issue(user, str(session)), "refreshToken": str(token), "userId": user}


ROUTES: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
    ("GET", "/health/live"): health,
    ("GET", "/api/tasks"): list_tasks,
    ("POST", "/api/tasks"): add_task,
    ("POST", "/api/users/refresh_token"): refresh,
    ("POST", "/api/users/login"): log_in,
}


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The WSGI application."""
    answer = orjson.dumps(ROUTES[environ["REQUEST_METHOD"], environ["PATH_INFO"]](environ))
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    )
    return [answer]
