"""A service on a real database file, and people who use it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import ColumnElement, Table, event, select, update
from werkzeug.test import TestResponse

from tasks_api import create_app
from tasks_api.auth.passwords import hasher_of
from tasks_api.database.engine import db, execute, fetch_all
from tests.databases import TABLES, databases
from tests.live import PASSWORD, Live, bearer, environment, load_settings, serving, signup_of

MakeApp = Callable[..., Flask]
LONGEST = ("test_soak.py", "test_deployment.py", "test_gunicorn.py", "test_page.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)  # those begin first


def pytest_sessionfinish() -> None:
    databases.drop_all()


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that stands still until it is moved."""
    with time_machine.travel("2026-05-01T12:00:00Z", tick=False) as traveller:
        yield traveller


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Make applications with the given settings, on one database without tables."""
    apps: list[Flask] = []
    server = databases.settings(databases.shared)
    if server:
        databases.execute(
            databases.shared, *(f"DROP TABLE IF EXISTS {table}" for table in TABLES)
        )

    def make(**settings: str) -> Flask:
        loaded = load_settings(environment(tmp_path / "instance", server, **settings))
        if "PASSWORD_ITERATIONS" not in settings:
            loaded.password_iterations = 1000
        hasher_of.cache_clear()  # it would go on with the most iterations of another test
        app = create_app(loaded)
        apps.append(app)
        return app

    yield make
    for app in apps:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@dataclass
class Person:
    """Somebody with a browser."""

    client: FlaskClient
    email: str = "anna@example.com"
    password: str = PASSWORD
    access: str = ""
    refresh: str = ""
    user_id: int = 0
    address: str = "127.0.0.1"

    def sign_up(self, **changes: Any) -> TestResponse:
        body = signup_of(self.email, self.password)
        return self.client.post("/api/users/signup", json=body | changes)

    def log_in(self, *, cookie: bool = False, **options: Any) -> TestResponse:
        body: dict[str, Any] = {"email": self.email, "password": self.password}
        if cookie:
            body["cookie"] = True
        options.setdefault("environ_overrides", {"REMOTE_ADDR": self.address})
        return self.keep(self.client.post("/api/users/login", json=body, **options))

    def refreshed(self, token: str | None = None, **more: Any) -> TestResponse:
        return self.client.post(
            "/api/users/refresh_token",
            json={"refreshToken": token or self.refresh} | more,
            environ_overrides={"REMOTE_ADDR": self.address},
        )

    def renew(self) -> TestResponse:
        """Refresh, which works, and keep what comes."""
        answer = self.keep(self.refreshed())
        assert answer.status_code == 200, answer.text
        return answer

    def keep(self, answer: TestResponse) -> TestResponse:
        if answer.status_code == 200 and answer.json:
            self.access, self.refresh = answer.json["accessToken"], answer.json["refreshToken"]
            self.user_id = answer.json["userId"]
        return answer

    def other_device(self) -> "Person":
        other = Person(self.client, self.email, self.password)
        other.log_in()
        return other

    def call(
        self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any
    ) -> TestResponse:
        headers = bearer(self.access) | (headers or {})
        return self.client.open(path, method=method, headers=headers, **options)

    def change_info(self, **members: Any) -> TestResponse:
        return self.call("PATCH", "/api/users/info", json=members)

    def delete_account(self, password: Any = PASSWORD) -> TestResponse:
        return self.call("POST", "/api/users/delete", json={"currentPassword": password})

    def change_password(
        self, new: str = "new password", headers: dict[str, str] | None = None, **changes: Any
    ) -> TestResponse:
        body = {"currentPassword": self.password, "newPassword": new, "confirmPassword": new}
        return self.call("PUT", "/api/users/password", headers, json=body | changes)

    def is_in(self) -> bool:
        """Whether the session lives: if not, the access token is A04."""
        answer = self.call("GET", "/api/users/info")
        if answer.status_code != 200:
            problem(answer, 401, "A04")
        return answer.status_code == 200

    def info(self) -> dict[str, Any]:
        return dict(self.call("GET", "/api/users/info").get_json())

    def sessions(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "/api/users/sessions").get_json())

    def tasks(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "/api/tasks").get_json())

    def add_task(self, name: object = "x", **more: Any) -> TestResponse:
        return self.call("POST", "/api/tasks", json={"name": name} | more)


def joined(app: Flask, email: str = "anna@example.com") -> Person:
    """Somebody who is signed up and logged in."""
    somebody = Person(app.test_client(), email)
    assert somebody.sign_up().status_code == 201
    assert somebody.log_in().status_code == 200
    return somebody


@pytest.fixture
def anna(app: Flask) -> Person:
    return joined(app)


@pytest.fixture
def bertil(app: Flask) -> Person:
    return joined(app, "bertil@example.com")


def problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check that ``answer`` is the catalogue's entry and return its body."""
    assert (answer.status_code, answer.json and answer.json.get("errorCode")) == (status, code), (
        answer.text
    )
    assert answer.mimetype == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert body["error"] == body["detail"]
    assert not body["detail"].endswith("..")
    assert body["status"] == status
    assert body["type"]
    assert body["title"]
    assert answer.headers["X-Request-ID"]
    return body


def invalid_grant(answer: TestResponse) -> None:
    problem(answer, 400, "invalid_grant")


def said(app: Flask, *words: str, fails: bool = False, types: str | None = None) -> str:
    """What an operator's command says, to whom ``types`` is answered."""
    result = app.test_cli_runner().invoke(args=words, input=types)
    assert (result.exit_code != 0) is fails, result.output
    return str(result.output)


def stored(app: Flask, table: Table) -> list[Any]:
    with app.app_context():
        return list(fetch_all(select(table)))


def write(app: Flask, table: Table, *where: ColumnElement[bool], **values: Any) -> None:
    """Have somebody else write ``values``, into every row if none is named."""
    with app.app_context():
        execute(update(table).where(*where).values(values))


def watch(app: Flask, see: Callable[[str], object]) -> None:
    """Show ``see`` each statement before it is sent; what that raises is the statement's failure."""
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: see(args[2]))


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One gunicorn with two workers for all tests that need one."""
    with serving(tmp_path_factory.mktemp("live"), workers=2) as server:
        yield server
