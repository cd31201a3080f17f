"""A SQL Server that goes away: cut off, silent, back again. Between service and server stands a relay."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import event
from werkzeug.test import TestResponse

from tasks_api.config.database_url import read_database_url
from tasks_api.database import sqlserver
from tasks_api.database.engine import POOL_SECONDS, db
from tests.conftest import MakeApp, Person
from tests.database.relay import Relay
from tests.databases import databases, needs_server
from tests.live import PASSWORD, Live, serving

pytestmark = needs_server

SLOWEST = 3 * sqlserver.QUERY_SECONDS + POOL_SECONDS + 3  # seconds


@pytest.fixture
def relay() -> Iterator[Relay]:
    url = read_database_url(databases.server)
    with Relay(url.host or "", url.port or 1433) as way:
        yield way


def through(relay: Relay, instance: Path) -> dict[str, Any]:
    """Settings that lead to the database of ``instance`` by way of ``relay``."""
    url = read_database_url(databases.settings(instance)["TASKS_DATABASE_URL"]).set(
        host="127.0.0.1", port=relay.port
    )
    return {"DATABASE_URL": url.render_as_string(hide_password=False)}


@pytest.fixture
def anna(make_app: MakeApp, relay: Relay) -> Person:
    make_app()  # upgrades the database
    anna = Person(make_app(**through(relay, databases.shared)).test_client())
    assert anna.sign_up().status_code == 201
    assert anna.log_in().status_code == 200
    return anna


def test_dead_connections_in_the_pool_cost_no_request(anna: Person, relay: Relay) -> None:
    requests: list[Callable[[], TestResponse]] = [
        lambda: anna.call("GET", "/api/tasks"),
        lambda: anna.call("POST", "/api/tasks", json={"name": "x"}),
        lambda: anna.keep(anna.refreshed()),
        anna.log_in,
        lambda: anna.client.get("/health/ready"),
    ]
    for request in requests:
        relay.break_connections()
        assert request().status_code in (200, 201)


@pytest.mark.parametrize("start", ["BEGIN", "UPDATE", "INSERT", "COMMIT"])
def test_a_line_that_breaks_in_a_login_costs_no_place_in_the_pool(
    anna: Person, relay: Relay, start: str
) -> None:
    app = anna.client.application
    with app.app_context():
        engine = db.engine

    armed: list[str] = []

    def cut(_connection: Any, _cursor: Any, statement: str, *_args: Any) -> None:
        if armed and statement.startswith(armed[0]):
            armed.clear()
            relay.break_connections()

    event.listen(engine, "before_cursor_execute", cut)
    for _ in range(app.extensions["settings"].threads + 1):
        armed.append(start)
        assert anna.log_in().status_code == (503 if start == "COMMIT" else 200)
        assert not armed
    assert anna.log_in().status_code == 200


def test_a_server_that_is_gone_is_503_and_the_service_heals(anna: Person, relay: Relay) -> None:
    relay.cut()
    for path in ("/api/tasks", "/health/ready"):
        answer = anna.call("GET", path)
        assert (answer.status_code, answer.get_json()["errorCode"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    relay.mend()
    assert anna.call("GET", "/api/tasks").status_code == 200
    assert anna.client.get("/health/ready").status_code == 200


def test_while_the_server_is_gone_only_one_request_waits_for_it(anna: Person, relay: Relay) -> None:
    relay.cut()
    anna.call("GET", "/api/tasks")
    with ThreadPoolExecutor(4) as pool:
        started = time.monotonic()

        def seconds() -> float:
            assert (
                Person(anna.client.application.test_client(), access=anna.access)
                .call("GET", "/api/tasks")
                .status_code
                == 503
            )
            return time.monotonic() - started

        waits = sorted(future.result() for future in [pool.submit(seconds) for _ in range(4)])
    assert waits[2] < 1


def test_a_server_that_says_nothing_is_503_in_time(anna: Person, relay: Relay) -> None:
    relay.stall()
    started = time.monotonic()
    assert anna.call("GET", "/api/tasks").status_code == 503
    assert time.monotonic() - started < SLOWEST
    relay.mend()
    assert anna.call("GET", "/api/tasks").status_code == 200


class Load:
    """People who go on working, whatever comes back."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.answers: list[
            tuple[float, float, requests.Response]
        ] = []  # when asked, seconds, answer
        self.over = threading.Event()
        self.people = [
            threading.Thread(target=self.work, args=(f"person{n}@example.com",)) for n in range(8)
        ]

    def __enter__(self) -> "Load":
        for person in self.people:
            person.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for person in self.people:
            person.join(60)

    def work(self, email: str) -> None:
        credentials: dict[str, Any] = {"email": email, "password": PASSWORD}
        self.ask(
            "/api/users/signup",
            credentials | {"confirmPassword": PASSWORD, "firstName": "A", "lastName": "B"},
        )
        tokens: dict[str, Any] = {}
        while not self.over.is_set():
            if not tokens:
                answer = self.ask("/api/users/login", credentials)
            else:
                self.ask("/api/tasks", token=tokens["accessToken"])
                self.ask("/api/tasks", {"name": "x"}, tokens["accessToken"])
                answer = self.ask(
                    "/api/users/refresh_token", {"refreshToken": tokens["refreshToken"]}
                )
            tokens = (
                answer.json()
                if answer.status_code == 200
                else tokens
                if answer.status_code == 503
                else {}
            )

    def ask(self, path: str, body: object = None, token: str | None = None) -> requests.Response:
        asked = time.monotonic()
        answer = self.live.get(path, token) if body is None else self.live.post(path, body, token)
        self.answers.append((asked, time.monotonic() - asked, answer))
        return answer

    def since(self, moment: float) -> Counter[int]:
        return Counter(answer.status_code for asked, _, answer in self.answers if asked >= moment)


@pytest.mark.parametrize("outage", ["cut", "stall"])
def test_an_outage_under_load_is_503_and_heals_within_seconds(
    tmp_path: Path, relay: Relay, outage: str
) -> None:
    with serving(tmp_path, workers=2, **through(relay, tmp_path)) as live, Load(live) as load:
        time.sleep(3)
        before = load.since(0)
        getattr(relay, outage)()
        gone = time.monotonic()
        time.sleep(8)
        assert live.get("/health/ready").status_code == 503
        assert live.get("/health/live").status_code == 200
        relay.mend()
        back = time.monotonic()
        while live.get("/health/ready").status_code != 200:
            assert time.monotonic() - back < 10
        healed = time.monotonic()
        time.sleep(3)
    assert before.keys() == {200, 201}
    during = load.since(gone)
    assert during.keys() <= {200, 201, 400, 503}, during
    assert during[503]
    assert during[400] <= len(load.people)
    for _, seconds, answer in load.answers:
        assert seconds < SLOWEST
        if (
            answer.status_code == 400
        ):  # its token was used, and the answer lost for longer than the retry window
            assert answer.json()["errorCode"] == "invalid_grant"
        if answer.status_code == 503:
            assert answer.json()["errorCode"] == "unavailable"
            assert int(answer.headers["Retry-After"]) > 0
    assert load.since(healed + 1).keys() <= {200, 201, 400}, load.since(healed + 1)
    assert load.since(healed + 1)[200]
