"""The tutorial's algorithm in the Flask that one would write first: ORM, PBKDF2 in every refresh, delete and insert.

No request checks a session, and a user has one refresh token.
"""

import os
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import pbkdf2_hmac
from typing import TYPE_CHECKING, Any

from flask import Flask, abort, request
from flask_jwt_extended import JWTManager, create_access_token, get_jwt_identity, jwt_required
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Session

from tasks_api.database import tables

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = os.environ["TASKS_JWT_SECRET_KEY"]
app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(minutes=15)
JWTManager(app)
engine = create_engine(f"sqlite:///{os.environ['TASKS_INSTANCE_PATH']}/tasks.db")


class Base(DeclarativeBase):
    """The attributes of the classes come from their tables."""

    metadata = tables.metadata

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class User(Base):
    """A user."""

    __table__ = tables.user_table


class Task(Base):
    """An entry of a user's list."""

    __table__ = tables.task_table


class RefreshToken(Base):
    """The refresh token of a user."""

    __table__ = tables.session_table
    __mapper_args__ = {  # noqa: RUF012  the original's columns
        "include_properties": [
            "id",
            "user_id",
            "token_hash",
            "token_salt",
            "ts",
            "expiry_date",
        ]
    }


def hashed(secret: str, salt: str, iterations: int = 100_000) -> str:
    """Hash as the original does."""
    key = pbkdf2_hmac("sha256", secret.encode(), b64decode(salt), iterations)
    return b64encode(key).decode()


def new_tokens(session: Session, user: User) -> dict[str, Any]:
    """Return new tokens; the refresh token replaces the last one."""
    token, salt = (b64encode(os.urandom(32)).decode() for _ in range(2))
    moment = datetime.now(UTC)
    for old in session.query(RefreshToken).filter_by(user_id=user.id):
        session.delete(old)
    session.add(
        RefreshToken(
            user_id=user.id,
            token_hash=hashed(token, salt),
            token_salt=salt,
            ts=moment,
            expiry_date=moment + timedelta(days=14),
        )
    )
    session.commit()
    access = create_access_token(str(user.id))
    return {"accessToken": access, "refreshToken": token, "userId": user.id}


def shown(task: Task) -> dict[str, Any]:
    """Return a task as answers have it."""
    ts = task.ts.isoformat()
    return {"id": task.id, "name": task.name, "isCompleted": task.is_completed, "ts": ts}


@app.get("/health/live")
def live() -> Any:
    """Say that the process is up."""
    return {"status": "ok"}


@app.post("/api/users/login")
def log_in() -> Any:
    """Exchange email and password for two tokens."""
    given = request.get_json()
    with Session(engine) as session:
        user = session.query(User).filter_by(email=given["email"], active=True).one()
        *_, iterations, key = user.password.split("$")
        if hashed(given["password"], user.password_salt, int(iterations)) != key:
            abort(401)
        return new_tokens(session, user)


@app.post("/api/users/refresh_token")
def refresh() -> Any:
    """Exchange the refresh token for new tokens."""
    given = request.get_json()
    with Session(engine) as session:
        row = session.query(RefreshToken).filter_by(user_id=given["userId"]).one()
        if row.token_hash != hashed(given["refreshToken"], row.token_salt):
            abort(400)
        if row.expiry_date < datetime.now(UTC):
            abort(400)
        return new_tokens(session, session.get_one(User, row.user_id))


@app.get("/api/tasks")
@jwt_required()  # type: ignore[untyped-decorator]
def list_tasks() -> Any:
    """List the tasks."""
    with Session(engine) as session:
        query = session.query(Task).filter_by(user_id=int(get_jwt_identity()))
        return [shown(task) for task in query.limit(int(request.args["limit"]))]


@app.post("/api/tasks")
@jwt_required()  # type: ignore[untyped-decorator]
def add_task() -> Any:
    """Add a task."""
    name = request.get_json()["name"]
    with Session(engine) as session:
        task = Task(
            user_id=int(get_jwt_identity()), name=name, is_completed=False, ts=datetime.now(UTC)
        )
        session.add(task)
        session.commit()
        return shown(task), 201
