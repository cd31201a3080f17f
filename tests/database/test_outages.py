"""A SQL Server that goes away: cut off, silent, back again. Between service and server stands a relay."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import TestResponse

from tasks_api.database import sqlserver
from tasks_api.database.engine import POOL_SECONDS
from tests.conftest import MakeApp, Person, joined, watch
from tests.database.relay import Relay
from tests.databases import databases, needs_server
from tests.live import PASSWORD, Live, serving, sign_up, wait_for

pytestmark = needs_server

REFRESH = "/api/users/refresh_token"
PEOPLE = 8
SLOWEST = 3 * sqlserver.QUERY_SECONDS + POOL_SECONDS + 3  # seconds


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay(databases.at()["server"]) as way:
        yield way


def through(relay: Relay, instance: Path) -> dict[str, Any]:
    """Settings that lead to the database of ``instance`` by way of ``relay``."""
    databases.settings(instance)
    keywords = databases.made[instance] | {"server": relay.server}
    return {"DATABASE_URL": sqlserver.connection_string(keywords)}


@pytest.fixture
def anna(make_app: MakeApp, relay: Relay) -> Person:
    make_app()  # upgrades the database
    return joined(make_app(**through(relay, databases.shared)))


def test_dead_connections_in_the_pool_cost_no_request(anna: Person, relay: Relay) -> None:
    requests: list[Callable[[], TestResponse]] = [
        lambda: anna.call("GET", "/api/tasks"),
        lambda: anna.add_task(),
        lambda: anna.renew(),
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
    armed: list[str] = []

    def cut(statement: str) -> None:
        if armed and statement.startswith(armed[0]):
            armed.clear()
            relay.break_connections()

    watch(app, cut)
    for _ in range(app.extensions["settings"].threads + 1):
        armed.append(start)
        assert anna.log_in().status_code == (503 if start == "COMMIT" else 200)
        assert not armed
    assert anna.log_in().status_code == 200


Answer = tuple[float, float, requests.Response]  # when asked, seconds, answer


@contextmanager
def people(live: Live) -> Iterator[list[Answer]]:
    """Eight who go on working, whatever comes back; all their answers."""
    answers: list[Answer] = []
    over = threading.Event()

    def ask(path: str, body: object = None, token: str = "") -> requests.Response:
        asked = time.monotonic()
        answer = live.get(path, token) if body is None else live.post(path, body, token)
        answers.append((asked, time.monotonic() - asked, answer))
        return answer

    def work(email: str) -> None:
        assert sign_up(live, email).status_code == 201
        tokens: dict[str, Any] = {}
        while not over.is_set():
            if not tokens:
                answer = ask("/api/users/login", {"email": email, "password": PASSWORD})
            else:
                ask("/api/tasks", token=tokens["accessToken"])
                ask("/api/tasks", {"name": "x"}, tokens["accessToken"])
                answer = ask(REFRESH, {"refreshToken": tokens["refreshToken"]})
            if answer.status_code != 503:
                tokens = answer.json() if answer.status_code == 200 else {}

    with ThreadPoolExecutor(PEOPLE) as pool:
        working = [pool.submit(work, f"person{n}@example.com") for n in range(PEOPLE)]
        try:
            yield answers
        finally:
            over.set()
        for person in working:
            person.result()


@pytest.mark.parametrize("outage", ["cut", "stall"])
def test_an_outage_under_load_is_503_and_heals_within_seconds(
    tmp_path: Path, relay: Relay, outage: str
) -> None:
    with serving(tmp_path, workers=2, **through(relay, tmp_path)) as live, people(live) as answers:
        wait_for(lambda: len(answers) > 200)
        before = {answer.status_code for _, _, answer in answers.copy()}
        getattr(relay, outage)()
        gone = time.monotonic()
        time.sleep(8)
        assert live.get("/health/ready").status_code == 503
        assert live.get("/health/live").status_code == 200
        relay.mend()
        back = time.monotonic()
        wait_for(lambda: live.get("/health/ready").status_code == 200)
        healed = time.monotonic()
        assert healed - back < 10
        time.sleep(3)
    assert max(seconds for _, seconds, _ in answers) < SLOWEST
    assert before == {200, 201}
    during = Counter(answer.status_code for asked, _, answer in answers if asked >= gone)
    assert during.keys() <= {200, 201, 400, 503}, during
    assert during[503]
    assert during[400] <= PEOPLE
    after = {answer.status_code for asked, _, answer in answers if asked > healed + 1}
    assert {200, 201} <= after <= {200, 201, 400}, after
    for _, _, answer in answers:
        if answer.status_code == 400:  # used, and the answer lost for longer than the retry window
            assert answer.json()["errorCode"] == "invalid_grant"
        if answer.status_code == 503:
            assert answer.json()["errorCode"] == "unavailable"
            assert int(answer.headers["Retry-After"]) > 0
