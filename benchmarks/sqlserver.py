"""What the service costs on SQL Server, beside a bare pyodbc loop that sends the same statements.

    TASKS_TEST_DATABASE_URL=mssql://... .venv/bin/python -m benchmarks.sqlserver [seconds for each figure, 5]

Prints, for each route, its statements and round trips; then, under gunicorn, throughput and latency beside the
loop's, taken in turns. The loop has as many connections as there are clients, and for login the same password hash.
"""

import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from hashlib import pbkdf2_hmac
from pathlib import Path
from typing import Any

from sqlalchemy import event

from tasks_api import create_service
from tasks_api.config import Settings
from tasks_api.database import sqlserver
from tasks_api.database.engine import db
from tests.conftest import Person
from tests.database.relay import Relay
from tests.databases import Databases
from tests.live import FAST, PASSWORD, serving

CLIENTS = 4
ROUTES = ("list", "add", "refresh", "login")
Action = Callable[[], None]


class Caller:
    """Somebody with one keep-alive connection to the service."""

    def __init__(self, url: str, email: str) -> None:
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"))
        self.credentials = {"email": email, "password": PASSWORD}
        names = {"confirmPassword": PASSWORD, "firstName": "B", "lastName": "B"}
        self.send("POST", "/api/users/signup", self.credentials | names)
        self.tokens: dict[str, Any] = {}
        self.login()

    def send(self, method: str, path: str, body: object = None) -> Any:
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {getattr(self, 'access', '')}",
        }
        self.connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text)

    def keep(self, tokens: dict[str, Any]) -> None:
        self.access, self.refresh_token = tokens["accessToken"], tokens["refreshToken"]

    def list(self) -> None:
        self.send("GET", "/api/tasks?limit=20")

    def add(self) -> None:
        self.send("POST", "/api/tasks", {"name": "a task"})

    def refresh(self) -> None:
        self.keep(
            self.send("POST", "/api/users/refresh_token", {"refreshToken": self.refresh_token})
        )

    def login(self) -> None:
        self.keep(self.send("POST", "/api/users/login", self.credentials))


class Loop:
    """The same statements on one pyodbc connection, and nothing around them."""

    def __init__(self, url: Any, statements: dict[str, list[str]], email: str) -> None:
        self.connection = sqlserver.connect(url)
        self.statements, self.email = statements, email
        self.user, self.password, self.salt = self.connection.execute(
            "SELECT Id, Password, PasswordSalt FROM [User] WHERE Email = ?", email
        ).fetchone()
        self.sessions: list[uuid.UUID] = []
        self.hash = "h" * 44
        self.login()

    def run(self, steps: Iterable[tuple[str, tuple[Any, ...]]]) -> None:
        for sql, parameters in steps:
            with closing(self.connection.execute(sql, parameters)) as cursor:
                if cursor.description:
                    cursor.fetchall()

    def moments(self) -> tuple[datetime, datetime]:
        now = datetime.now(UTC).replace(tzinfo=None)
        return now, now + timedelta(days=14)

    def caller(self) -> tuple[Any, ...]:
        return self.sessions[-1], self.user, self.moments()[0]

    def list(self) -> None:
        self.run(zip(self.statements["list"], (self.caller(), (self.user, 0)), strict=True))

    def add(self) -> None:
        parameters = (self.caller(), (self.user, "a task", 0, self.moments()[0]))
        self.run(zip(self.statements["add"], parameters, strict=True))

    def refresh(self) -> None:
        session, (now, later) = self.sessions[-1], self.moments()
        after = (
            self.hash,
            later,
            self.counter + 1,
            now,
            "agent",
            "::1",
            0,
            self.counter + 1,
            session,
            self.counter,
            self.hash,
            2**31 - 1,
        )
        self.run(zip(self.statements["refresh"], ((session,), after), strict=True))
        self.counter += 1

    def login(self) -> None:
        pbkdf2_hmac("sha256", PASSWORD.encode(), self.salt.encode(), 100_000, 32)
        now, later = self.moments()
        self.sessions.append(uuid.uuid4())
        session = (
            self.user,
            self.hash,
            "s" * 44,
            now,
            later,
            self.sessions[-1],
            0,
            now,
            "agent",
            "::1",
        )
        parameters = (
            (self.email,),
            (),  # BEGIN
            (self.password, self.salt, self.user, self.password),
            (self.user,),
            (self.sessions[-21:][0],),
            session,
            (),  # COMMIT
            (now - timedelta(minutes=1),),
        )
        self.run(zip(self.statements["login"], parameters, strict=True))
        self.counter = 0


def statements_and_round_trips(databases: Databases, folder: Path) -> dict[str, list[str]]:
    """Print them for each route, and return the statements."""
    databases.settings(folder)
    with Relay(databases.at()["server"]) as relay:
        way = databases.made[folder] | {"server": relay.server, "encrypt": "no"}
        environ = FAST | {
            "TASKS_UPGRADE_ON_START": "true",
            "TASKS_LOG_LEVEL": "ERROR",
            "TASKS_MAX_SESSIONS": "2",
        }
        app = create_service(
            Settings.load(
                environ | {"TASKS_DATABASE_URL": sqlserver.connection_string(way)}, folder
            )
        )
        said: list[str] = []
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
        somebody = Person(app.test_client(), "counted@example.com")
        somebody.sign_up()
        for _ in range(3):
            somebody.log_in()
        task = somebody.call("POST", "/api/tasks", json={"name": "x"}).get_json()["id"]
        requests: dict[str, Callable[[], Any]] = {
            "list": lambda: somebody.call("GET", "/api/tasks?limit=20"),
            "add": lambda: somebody.call("POST", "/api/tasks", json={"name": "x"}),
            "change": lambda: somebody.call("PATCH", f"/api/tasks/{task}", json={"name": "y"}),
            "delete": lambda: somebody.call("DELETE", f"/api/tasks/{task}"),
            "refresh": lambda: somebody.keep(somebody.refreshed()),
            "list, first": lambda: somebody.call(
                "GET", "/api/tasks?limit=20"
            ),  # marks the answer as used
            "login": somebody.log_in,
            "sessions": lambda: somebody.call("GET", "/api/users/sessions"),
            "logout": lambda: somebody.call("POST", "/api/users/logout"),
            "ready": lambda: somebody.client.get("/health/ready"),
        }
        found: dict[str, list[str]] = {}
        print("route       statements  round trips")
        for name, request in requests.items():
            said.clear()
            relay.sent.clear()
            request()
            found[name] = [sql for sql in said if not sql.startswith("SET")]
            print(f"{name:<12}{len(found[name]):>10}{len(relay.sent):>13}")
        with app.app_context():
            db.engine.dispose()
    return found


def measure(actions: list[Action], seconds: float) -> list[float]:
    """Let each of ``actions`` run in a thread of its own; the durations of all."""
    durations: list[float] = []
    end = time.perf_counter() + seconds

    def work(action: Action) -> None:
        while (started := time.perf_counter()) < end:
            action()
            durations.append(time.perf_counter() - started)

    threads = [threading.Thread(target=work, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return durations


def row(route: str, service: list[float], bare: list[float], seconds: float) -> str:
    """A line of the table, of durations in seconds. On a slow day there may be too few for one."""
    if min(len(service), len(bare)) < 2:
        return f"{route:<12}too few answers in {seconds:g} s: {len(service)} and {len(bare)}"
    columns = [
        f"{len(figures) / seconds:>8.0f}{statistics.median(figures) * 1000:>9.2f}"
        f"{statistics.quantiles(figures, n=100)[98] * 1000:>9.2f}"
        for figures in (service, bare)
    ]
    return f"{route:<12}{columns[0]:>33}{columns[1]:>35}{len(service) / len(bare):>14.0%}"


def main(seconds: float) -> None:
    """Print all of it."""
    databases = Databases()
    if not databases.server:
        raise SystemExit("TASKS_TEST_DATABASE_URL names no SQL Server")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(databases.drop_all)
        statements = statements_and_round_trips(databases, folder)
        settings: dict[str, Any] = {
            name.removeprefix("TASKS_"): value for name, value in databases.settings(folder).items()
        }
        live = stack.enter_context(
            serving(
                folder,
                "--keep-alive=600",
                workers=os.cpu_count() or 1,
                LOG_LEVEL="WARNING",
                **settings,
            )
        )
        people = [Caller(live.url, f"bench{n}@example.com") for n in range(CLIENTS)]
        loops = [
            Loop(databases.made[folder], statements, f"bench{n}@example.com")
            for n in range(CLIENTS)
        ]
        for loop in loops:
            stack.callback(loop.connection.close)
        print(
            f"\n{CLIENTS} clients, {os.cpu_count()} workers, {seconds:g} s a figure; login with 100,000 iterations"
        )
        print(
            "            service: req/s   p50 ms   p99 ms     bare: loops/s   p50 ms   p99 ms     throughput"
        )
        for route in ROUTES:
            rounds = [
                [
                    measure([getattr(one, route) for one in who], seconds / 2)
                    for who in (people, loops)
                ]
                for _ in "12"
            ]
            service, bare = (
                [figure for both in rounds for figure in both[side]] for side in (0, 1)
            )
            print(row(route, service, bare, seconds))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5)
