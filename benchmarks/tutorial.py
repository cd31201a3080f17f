"""The tutorial's algorithm in the Flask that one would write first: ORM, PBKDF2 on every refresh, delete and insert.

No session is checked on a request, and a user has one refresh token.
"""

import os
import uuid
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import pbkdf2_hmac
from typing import TYPE_CHECKING, Any

from flask import Flask, abort, request
from flask_jwt_extended import JWTManager, create_access_token, get_jwt_identity, jwt_required
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Session

from tasks_api import models

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = os.environ["TASKS_JWT_SECRET_KEY"]
JWTManager(app)
engine = create_engine(f"sqlite:///{os.environ['TASKS_INSTANCE_PATH']}/tasks.db")


class Base(DeclarativeBase):
    """What the classes have in common: attributes that their tables give them."""

    metadata = models.metadata

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class User(Base):
    """Somebody who can log in."""

    __table__ = models.users


class Task(Base):
    """One entry of somebody's list."""

    __table__ = models.tasks


class RefreshToken(Base):
    """The one refresh token of a user."""

    __table__ = models.refresh_tokens


def hashed(secret: str, salt: bytes, iterations: int = 100_000) -> str:
    """PBKDF2 with the original's parameters."""
    return b64encode(pbkdf2_hmac("sha256", secret.encode(), salt, iterations)).decode()


def tokens(session: Session, user: User) -> dict[str, Any]:
    """A new pair; the refresh token takes the place of the last one."""
    token, salt, moment = b64encode(os.urandom(32)).decode(), os.urandom(32), datetime.now(UTC)
    for old in session.query(RefreshToken).filter_by(user_id=user.id):
        session.delete(old)
    session.add(
        RefreshToken(
            user_id=user.id,
            token_hash=hashed(token, salt),
            token_salt=b64encode(salt).decode(),
            ts=moment,
            expiry_date=moment + timedelta(days=14),
            session_id=uuid.uuid4(),
            counter=0,
            used_counter=0,
            void_answers=0,
            void_counter=0,
        )
    )
    session.commit()
    access = create_access_token(str(user.id), expires_delta=timedelta(minutes=15))
    return {"accessToken": access, "refreshToken": token, "userId": user.id}


def shown(task: Task) -> dict[str, Any]:
    """A task in an answer."""
    return {
        "id": task.id,
        "name": task.name,
        "isCompleted": task.is_completed,
        "ts": task.ts.isoformat(),
    }


@app.get("/health/live")
def live() -> Any:
    """Up."""
    return {"status": "ok"}


@app.post("/api/users/login")
def log_in() -> Any:
    """Email and password for two tokens."""
    given = request.get_json()
    with Session(engine) as session:
        user = session.query(User).filter_by(email=given["email"], active=True).one_or_none()
        if user is None:
            abort(401)
        *_, iterations, key = ("100000$" + user.password).split("$")
        if hashed(given["password"], b64decode(user.password_salt), int(iterations)) != key:
            abort(401)
        return tokens(session, user)


@app.post("/api/users/refresh_token")
def refresh() -> Any:
    """The next pair of tokens."""
    given = request.get_json()
    with Session(engine) as session:
        row = session.query(RefreshToken).filter_by(user_id=given["userId"]).first()
        if row is None or row.token_hash != hashed(
            given["refreshToken"], b64decode(row.token_salt)
        ):
            abort(400)
        if row.expiry_date < datetime.now(UTC):
            abort(400)
        return tokens(session, session.get_one(User, row.user_id))


@app.get("/api/tasks")
@jwt_required()  # type: ignore[untyped-decorator]
def list_tasks() -> Any:
    """The tasks."""
    with Session(engine) as session:
        query = (
            session.query(Task)
            .filter_by(user_id=int(get_jwt_identity()))
            .limit(int(request.args["limit"]))
        )
        return [shown(task) for task in query]


@app.post("/api/tasks")
@jwt_required()  # type: ignore[untyped-decorator]
def add_task() -> Any:
    """One more task."""
    with Session(engine) as session:
        given = {"name": request.get_json()["name"], "is_completed": False, "ts": datetime.now(UTC)}
        task = Task(user_id=int(get_jwt_identity()), **given)
        session.add(task)
        session.commit()
        return shown(task), 201
