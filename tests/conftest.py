"""A service on a real database file, and people who use it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import URL
from werkzeug.test import TestResponse

from tasks_api import create_app, migrations, sqlserver
from tasks_api.address import address
from tasks_api.config import ROOT, Settings
from tasks_api.database import db

PASSWORD = "correct horse battery"
FAST = {"TASKS_PASSWORD_ITERATIONS": "100000", "TASKS_RATELIMIT_ENABLED": "false"}


TABLES = ("RefreshToken", "Task", "[User]", "SchemaVersion")

MakeApp = Callable[..., Flask]


class Databases:
    """The databases of this run on SQL Server, each made when it is first asked for.

    TASKS_TEST_DATABASE_URL is the address of a server, with a login that may create databases.
    """

    server = os.environ.get("TASKS_TEST_DATABASE_URL", "")
    shared = Path("shared")

    def __init__(self) -> None:
        self.urls: dict[Path, URL] = {}

    def settings(self, instance: Path) -> dict[str, str]:
        """The settings with which a service whose instance folder this is has a database of its own."""
        if not self.server:
            return {}
        url = self.urls.get(instance) or self.create(instance)
        return {"TASKS_DATABASE_URL": url.render_as_string(hide_password=False), "TASKS_UPGRADE_ON_START": "true"}

    def create(self, instance: Path) -> URL:
        url = address(self.server).set(database=f"TasksTest_{os.getpid()}_{len(self.urls)}")
        self.urls[instance] = url
        migrations.create(url)
        return url

    def execute(self, instance: Path, *statements: str) -> None:
        with closing(sqlserver.connect(self.urls[instance])) as connection:
            for statement in statements:
                connection.execute(statement)

    def drop_all(self) -> None:
        for url in self.urls.values():
            with closing(sqlserver.connect(url.set(database="master"))) as connection, suppress(Exception):
                with suppress(Exception):  # a test that failed may have left connections open
                    connection.execute(f"ALTER DATABASE {url.database} SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
                connection.execute(f"DROP DATABASE {url.database}")


databases = Databases()
needs_server = pytest.mark.skipif(not databases.server, reason="TASKS_TEST_DATABASE_URL names no SQL Server")
embedded_only = pytest.mark.skipif(bool(databases.server), reason="about the embedded database, not SQL Server")


def pytest_sessionfinish() -> None:
    databases.drop_all()


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Make applications with the given settings, on one database without tables."""
    apps: list[Flask] = []
    server = databases.settings(databases.shared)
    if server:
        databases.execute(databases.shared, *(f"DROP TABLE IF EXISTS {table}" for table in TABLES))

    def make(**settings: str) -> Flask:
        environ = FAST | server | {f"TASKS_{name}": value for name, value in settings.items()}
        app = create_app(Settings.load(environ, tmp_path / "instance"))
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

    def sign_up(self, **changes: Any) -> TestResponse:
        body = {
            "email": self.email,
            "password": self.password,
            "confirmPassword": self.password,
            "firstName": "Anna",
            "lastName": "Andersson",
        }
        return self.client.post("/api/users/signup", json=body | changes)

    def log_in(self) -> TestResponse:
        answer = self.client.post("/api/users/login", json={"email": self.email, "password": self.password})
        return self.keep(answer)

    def refreshed(self, token: str | None = None, **more: Any) -> TestResponse:
        return self.client.post("/api/users/refresh_token", json={"refreshToken": token or self.refresh} | more)

    def keep(self, answer: TestResponse) -> TestResponse:
        if answer.status_code == 200 and answer.json:
            self.access, self.refresh = answer.json["accessToken"], answer.json["refreshToken"]
            self.user_id = answer.json["userId"]
        return answer

    def other_device(self) -> "Person":
        other = Person(self.client, self.email, self.password)
        other.log_in()
        return other

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        return self.client.open(path, method=method, headers={"Authorization": f"Bearer {self.access}"}, **options)

    def is_in(self) -> bool:
        return self.call("GET", "/api/users/info").status_code == 200


@pytest.fixture
def person(client: FlaskClient) -> Callable[[str], Person]:
    """Make people who are signed up and logged in."""

    def make(email: str = "anna@example.com") -> Person:
        somebody = Person(client, email)
        assert somebody.sign_up().status_code == 201
        assert somebody.log_in().status_code == 200
        return somebody

    return make


@pytest.fixture
def anna(person: Callable[[str], Person]) -> Person:
    return person("anna@example.com")


@pytest.fixture
def bertil(person: Callable[[str], Person]) -> Person:
    return person("bertil@example.com")


def problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check that ``answer`` is the catalogue's entry and return its body."""
    assert (answer.status_code, answer.json and answer.json.get("errorCode")) == (status, code), answer.text
    assert answer.mimetype == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert body["error"] == body["detail"]
    assert body["status"] == status
    assert body["type"]
    assert body["title"]
    assert answer.headers["X-Request-ID"]
    return body


@dataclass
class Live:
    """A gunicorn that listens on loopback."""

    url: str
    process: subprocess.Popen[bytes]
    instance: Path

    def post(self, path: str, body: object, token: str | None = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.post(self.url + path, json=body, headers=headers, timeout=30)

    def get(self, path: str, token: str | None = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.get(self.url + path, headers=headers, timeout=30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def environment(instance: Path, **settings: str) -> dict[str, str]:
    """This process's environment with only our settings in it."""
    kept = {name: value for name, value in os.environ.items() if not re.match("TASKS_|COV_|PROMETHEUS", name)}
    ours = FAST | databases.settings(instance) | {"TASKS_INSTANCE_PATH": str(instance)}
    return kept | ours | {f"TASKS_{name}": value for name, value in settings.items()}


@contextmanager
def serving(
    instance: Path, *options: str, application: str = "wsgi:app", output: int = subprocess.DEVNULL, **settings: Any
) -> Iterator[Live]:
    """Serve under gunicorn, as ``make run`` does; ``options`` are gunicorn's, ``output`` is where it writes."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "tasks_api/gunicorn_conf.py", *options]
    process = subprocess.Popen(
        [*command, "--bind", f"127.0.0.1:{port}", application],
        cwd=ROOT,
        env=environment(instance, **settings),
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    live = Live(f"http://127.0.0.1:{port}", process, instance)
    try:
        _wait_until_up(live)
        yield live
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _wait_until_up(live: Live) -> None:
    for _ in range(600):
        try:
            if live.get("/health/live").status_code == 200:
                return
        except requests.ConnectionError:
            if live.process.poll() is not None:
                break
        time.sleep(0.05)
    raise AssertionError("gunicorn did not start")


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One gunicorn with two workers for all tests that need one."""
    with serving(tmp_path_factory.mktemp("live"), WORKERS="2") as server:
        yield server
