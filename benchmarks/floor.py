"""The floor: the same routes as bare WSGI with PyJWT, sqlite3 and orjson. Their cost is that of Python and gunicorn.

It checks signature, issuer, audience and expiry of access tokens, but no session. It validates and logs nothing. Its
refresh is this service's algorithm, and its login has the same password hash.
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
from pathlib import Path
from typing import Any

import jwt
import orjson

from tasks_api.auth import refresh_tokens

KEY = os.environ["TASKS_JWT_SECRET_KEY"]
KEYRING = refresh_tokens.Keyring([os.environ["TASKS_REFRESH_TOKEN_KEY"].encode()])
FILE = Path(os.environ["TASKS_INSTANCE_PATH"], "tasks.db")
_of_thread = threading.local()


def execute(statement: str, *parameters: object) -> sqlite3.Cursor:
    """Execute a statement on the thread's connection."""
    if not hasattr(_of_thread, "connection"):
        _of_thread.connection = sqlite3.connect(FILE, isolation_level=None, timeout=5)
        _of_thread.connection.execute("PRAGMA synchronous = FULL")
    cursor: sqlite3.Cursor = _of_thread.connection.execute(statement, parameters)
    return cursor


def now(days: int = 0) -> str:
    """Return the time, or the time in so many days."""
    return str(datetime.now(UTC).replace(tzinfo=None) + timedelta(days=days))[:23]


def issue(user_id: int, session_id: uuid.UUID) -> str:
    """Return an access token."""
    moment = int(time.time())
    claims = {"iss": "tasks-api", "aud": "tasks-api", "type": "access", "jti": str(uuid.uuid4())}
    claims |= {"sub": str(user_id), "sid": str(session_id)}
    times = {"iat": moment, "nbf": moment, "exp": moment + 900}
    return jwt.encode(claims | times, KEY, "HS256")


def caller(environ: dict[str, Any]) -> int:
    """Return the user of the access token."""
    token = environ["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    return int(jwt.decode(token, KEY, ["HS256"], audience="tasks-api", issuer="tasks-api")["sub"])


def body(environ: dict[str, Any]) -> Any:
    """Return the JSON of the request."""
    return orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))


def health(_environ: dict[str, Any]) -> Any:
    """Say that the process is up."""
    return {"status": "ok"}


def list_tasks(environ: dict[str, Any]) -> Any:
    """List twenty tasks."""
    rows = execute(
        "SELECT Id, Name, IsCompleted, TS FROM Task WHERE UserId = ? ORDER BY Id LIMIT 20",
        caller(environ),
    ).fetchall()
    return [
        {"id": task_id, "name": name, "isCompleted": bool(done), "ts": ts}
        for task_id, name, done, ts in rows
    ]


def add_task(environ: dict[str, Any]) -> Any:
    """Add a task."""
    user_id, name, ts = caller(environ), body(environ)["name"], now()
    insert = "INSERT INTO Task (UserId, Name, IsCompleted, TS) VALUES (?, ?, 0, ?)"
    task_id = execute(insert, user_id, name, ts).lastrowid
    return {"id": task_id, "name": name, "isCompleted": False, "ts": ts}


def refresh(environ: dict[str, Any]) -> Any:
    """Exchange a refresh token."""
    token = refresh_tokens.decode(body(environ)["refreshToken"])
    user_id, stored, salt, counter = execute(
        "SELECT UserId, TokenHash, TokenSalt, Counter FROM RefreshToken WHERE SessionId = ?",
        str(token.session_id),
    ).fetchone()
    is_current = token.counter == counter and refresh_tokens.has_hash(token, salt, stored)
    if not (KEYRING.verifies(token, salt) and is_current):
        raise PermissionError
    successor = KEYRING.make(token.session_id, counter + 1, salt)
    changed = execute(
        "UPDATE RefreshToken SET Counter = ?, TokenHash = ?, ExpiryDate = ?, RotatedAt = ?"
        " WHERE SessionId = ? AND Counter = ?",
        counter + 1,
        refresh_tokens.token_hash(successor, salt),
        now(days=14),
        now(),
        str(token.session_id),
        counter,
    ).rowcount
    if changed != 1:
        raise PermissionError
    return answer(user_id, successor)


def log_in(environ: dict[str, Any]) -> Any:
    """Open a session."""
    given = body(environ)
    user_id, stored, password_salt = execute(
        "SELECT Id, Password, PasswordSalt FROM User WHERE Email = ?", given["email"]
    ).fetchone()
    *_, iterations, key = stored.split("$")
    password = given["password"].encode()
    if pbkdf2_hmac("sha256", password, b64decode(password_salt), int(iterations)) != b64decode(
        key
    ):
        raise PermissionError
    salt = refresh_tokens.new_salt()
    token = KEYRING.make(uuid.uuid4(), 0, salt)
    execute(
        "INSERT INTO RefreshToken (UserId, TokenHash, TokenSalt, TS, ExpiryDate, SessionId)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        user_id,
        refresh_tokens.token_hash(token, salt),
        salt,
        now(),
        now(days=14),
        str(token.session_id),
    )
    return answer(user_id, token)


def answer(user_id: int, token: refresh_tokens.Token) -> Any:
    """Return the answer of a login or a refresh."""
    access = issue(user_id, token.session_id)
    return {"accessToken": access, "refreshToken": str(token), "userId": user_id}


ROUTES: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
    ("GET", "/health/live"): health,
    ("GET", "/api/tasks"): list_tasks,
    ("POST", "/api/tasks"): add_task,
    ("POST", "/api/users/refresh_token"): refresh,
    ("POST", "/api/users/login"): log_in,
}


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer a request (WSGI)."""
    text = orjson.dumps(ROUTES[environ["REQUEST_METHOD"], environ["PATH_INFO"]](environ))
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
    start_response("200 OK", headers)
    return [text]
