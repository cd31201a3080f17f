"""What an operator relies on: stopping, dying, full and locked disks, metrics, logs."""

import json
import os
import re
import resource
import signal
import socket
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import event, text

from tasks_api.database import LOCK_SECONDS, db, fetch_one
from tasks_api.web import _TRACEPARENT
from tasks_api.worker import ARRIVAL_SECONDS

from .conftest import Live, MakeApp, Person, embedded_only, problem, serving
from .test_live import at_once, log_in, new_user

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def workers(live: Live) -> list[int]:
    parent = live.process.pid
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def test_sigterm_finishes_what_is_in_flight(tmp_path: Path) -> None:
    slow: dict[str, Any] = {"PASSWORD_ITERATIONS": "5000000"}  # a login of more than a second
    with serving(tmp_path, WORKERS="1", **slow) as live, ThreadPoolExecutor(1) as pool:
        new_user(live, "slow@example.com")
        answer = pool.submit(lambda: log_in(live, "slow@example.com"))
        time.sleep(0.3)
        assert not answer.done()
        live.process.send_signal(signal.SIGTERM)
        assert answer.result()["accessToken"]
        assert live.process.wait(30) == 0


def test_a_worker_is_replaced_after_its_requests_and_nobody_notices(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="2", MAX_REQUESTS="40") as live:
        before = set(workers(live))
        for _ in range(10):
            assert Counter(each.status_code for each in at_once(20, lambda: live.get("/health/ready"))) == {200: 20}
        assert before.isdisjoint(workers(live))


def test_a_connection_without_a_request_holds_up_no_stop(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="1") as live:
        host, port = live.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))):
            time.sleep(0.5)
            began = time.monotonic()
            live.process.send_signal(signal.SIGTERM)
            assert live.process.wait(30) == 0
            assert time.monotonic() - began < ARRIVAL_SECONDS - 3


def test_what_the_kernel_has_accepted_is_answered_by_a_worker_that_stops(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="1") as live, ThreadPoolExecutor(20) as pool:
        (worker,) = workers(live)
        os.kill(worker, signal.SIGSTOP)
        answers = [pool.submit(lambda: live.get("/health/live")) for _ in range(20)]
        time.sleep(0.5)
        live.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        os.kill(worker, signal.SIGCONT)
        assert Counter(answer.result().status_code for answer in answers) == {200: 20}
        assert live.process.wait(30) == 0


def test_workers_that_are_killed_under_load_lose_no_answered_write_and_no_session(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="2") as live:
        people = [new_user(live, f"killed{n}@example.com") for n in range(4)]
        answered: dict[str, list[int]] = {tokens["accessToken"]: [] for tokens in people}
        over = threading.Event()

        def work(access: str) -> None:
            while not over.is_set():
                try:
                    answer = live.post("/api/tasks", {"name": "x"}, access)
                except requests.RequestException:  # cut off, in the middle of an answer even
                    continue
                assert answer.status_code == 201
                answered[access].append(answer.json()["id"])

        with ThreadPoolExecutor(len(people)) as pool:
            done = [pool.submit(work, access) for access in answered]
            for _ in range(5):
                time.sleep(0.7)
                os.kill(workers(live)[0], signal.SIGKILL)
            time.sleep(0.7)
            over.set()
            for each in done:
                each.result()
        for tokens in people:
            access = tokens["accessToken"]
            listed = {task["id"] for task in live.get("/api/tasks", access).json()}
            assert answered[access]
            assert listed >= set(answered[access])
            assert live.post("/api/users/refresh_token", {"refreshToken": tokens["refreshToken"]}).status_code == 200


@embedded_only
def test_a_full_disk_is_503_for_writes_and_loses_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="1") as live:
        tokens = new_user(live, "full@example.com")
        access = tokens["accessToken"]
        kept = live.post("/api/tasks", {"name": "before"}, access).json()["id"]
        (worker,) = workers(live)
        unlimited = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        size = max(file.stat().st_size for file in tmp_path.glob("tasks.db*"))
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, unlimited[1]))
        refused = [live.post("/api/tasks", {"name": "full"}, access) for _ in range(3)]
        assert {(each.status_code, each.json()["errorCode"]) for each in refused} == {(503, "unavailable")}
        refresh = {"refreshToken": tokens["refreshToken"]}
        assert live.post("/api/users/refresh_token", refresh).status_code == 503
        assert [task["id"] for task in live.get("/api/tasks", access).json()] == [kept]
        resource.prlimit(worker, resource.RLIMIT_FSIZE, unlimited)
        assert live.post("/api/tasks", {"name": "after"}, access).status_code == 201
        assert live.post("/api/users/refresh_token", refresh).status_code == 200


@embedded_only
@pytest.mark.parametrize("pragma", ["query_only = ON", "max_page_count = 1"])
def test_a_database_that_cannot_be_written_is_503_for_writes_alone(app: Flask, anna: Person, pragma: str) -> None:
    with app.app_context():
        db.engine.dispose()
        event.listen(db.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}"))
    for number in range(200):  # a page has room for some
        answer = anna.call("POST", "/api/tasks", json={"name": f"{number}" * 30})
        if answer.status_code != 201:
            break
    problem(answer, 503, "unavailable")
    assert anna.is_in()


@embedded_only
def test_writers_do_not_queue_up_behind_a_locked_database(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="2", THREADS="4") as live:
        access = new_user(live, "locked@example.com")["accessToken"]
        other = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answers = at_once(8, lambda: live.post("/api/tasks", {"name": "x"}, access))
        assert Counter(each.status_code for each in answers) == {503: 8}
        assert time.monotonic() - began < 2 * LOCK_SECONDS + 2
        assert live.get("/api/tasks", access).json() == []
        other.execute("ROLLBACK")
        other.close()
        assert live.post("/api/tasks", {"name": "x"}, access).status_code == 201


def test_it_is_a_plain_wsgi_application() -> None:
    from wsgiref.util import setup_testing_defaults
    from wsgiref.validate import validator

    from wsgi import app

    environ: dict[str, Any] = {"QUERY_STRING": ""}
    setup_testing_defaults(environ)
    environ["PATH_INFO"] = "/health/live"
    said: list[str] = []

    def start_response(status: str, _headers: object, _error: object = None) -> Any:
        said.append(status)
        return lambda _: None

    answer: Any = validator(app)(environ, start_response)
    assert b"".join(answer) == b'{"status":"ok"}'
    answer.close()
    assert said == ["200 OK"]


# --- metrics ---------------------------------------------------------------------------------------------


def metric(app: Flask, name: str) -> float:
    lines = app.test_client().get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split()[0].partition("{")[0] == name)


def test_metrics_know_sessions_requests_and_connections(app: Flask, anna: Person) -> None:
    anna.other_device()
    assert metric(app, "tasks_sessions") == 2
    assert metric(app, "tasks_requests_in_flight") == 1  # this one
    assert metric(app, "tasks_database_connections_in_use") == 0
    with app.app_context():
        fetch_one(text("SELECT 1"))
        assert metric(app, "tasks_database_connections_in_use") == 1
    assert metric(app, "tasks_database_connections_in_use") == 0


@embedded_only
def test_metrics_answer_while_the_database_does_not(app: Flask, anna: Person, tmp_path: Path) -> None:
    with app.app_context():
        db.engine.dispose()
    (tmp_path / "instance" / "tasks.db").write_bytes(b"no database" * 1000)
    text = app.test_client().get("/metrics").text
    assert "tasks_request_seconds_count" in text
    assert "tasks_sessions" not in text


def test_workers_that_are_replaced_leave_their_counts_and_no_files(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="2", MAX_REQUESTS="10") as live:
        before = set(workers(live))
        maps = Path(f"/proc/{workers(live)[0]}/maps").read_text()
        (shared,) = {Path(path).parent for path in re.findall(r"\S+/gauge_\w+\.db", maps)}
        for _ in range(40):
            assert live.get("/api/tasks").status_code == 401
        live.process.send_signal(signal.SIGHUP)
        time.sleep(2)
        for _ in range(40):
            assert live.get("/api/tasks").status_code == 401
        assert before.isdisjoint(workers(live))
        lines = live.get("/metrics").text.splitlines()
        (counted,) = [line for line in lines if line.startswith("tasks_request_seconds_count") and "/api/tasks" in line]
        assert counted.endswith(" 80.0")
        kinds = Counter(path.name.rpartition("_")[0] for path in shared.iterdir())
        assert max(kinds.values()) <= 4 + 1  # two and their successors, and the master has some too


def test_a_worker_that_died_in_the_middle_is_not_in_flight_for_ever(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="1", PASSWORD_ITERATIONS="5000000") as live, ThreadPoolExecutor(1) as pool:
        login = pool.submit(lambda: live.post("/api/users/login", {"email": "x@example.com", "password": "x"}))
        time.sleep(0.5)
        assert "tasks_requests_in_flight 2.0" in live.get("/metrics").text
        os.kill(workers(live)[0], signal.SIGKILL)
        with pytest.raises(requests.ConnectionError):
            login.result()
        for _ in range(100):
            try:
                text = live.get("/metrics").text
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        assert "tasks_requests_in_flight 1.0" in text


# --- logs ------------------------------------------------------------------------------------------------


def test_a_line_says_who_what_how_long_and_in_which_trace(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, serving(tmp_path / "instance", output=log.fileno()) as live:
        tokens = new_user(live, "logged@example.com")
        headers = {"Authorization": f"Bearer {tokens['accessToken']}", "traceparent": f"00-{TRACE}-{SPAN}-01"}
        assert requests.get(f"{live.url}/api/tasks?limit=5", headers=headers, timeout=30).ok
        session = live.get("/api/users/sessions", tokens["accessToken"]).json()[0]["sessionId"]
        log_in(live, "logged@example.com")
        devices = live.get("/api/users/sessions", tokens["accessToken"]).json()
        (other,) = {device["sessionId"] for device in devices} - {session}
        assert requests.delete(f"{live.url}/api/users/sessions/{other}", headers=headers, timeout=30).ok
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("route") == "/api/tasks"]
    expected = {"method": "GET", "status": 200, "user_id": tokens["userId"], "session_id": session}
    assert line.items() >= (expected | {"trace_id": TRACE, "span_id": SPAN, "level": "INFO"}).items()
    assert line["ms"] > 0
    assert line["request_id"]
    (ended,) = [line for line in lines if line.get("event") == "session_ended"]
    assert (ended["session_id"], ended["user_id"]) == (other, tokens["userId"])


@pytest.mark.parametrize(
    ("header", "good"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"01-{TRACE}-{SPAN}-01-more", True),
        (f"00-{TRACE}-{SPAN}-01-more", False),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        ("", False),
    ],
)
def test_a_traceparent_is_kept_if_it_is_one(header: str, good: bool) -> None:
    assert bool(_TRACEPARENT.fullmatch(header)) is good


def test_on_a_terminal_a_line_is_readable(tmp_path: Path) -> None:
    master, terminal = os.openpty()
    with serving(tmp_path, WORKERS="1", output=terminal) as live:
        live.get("/api/tasks")
        time.sleep(0.2)
    os.close(terminal)
    text = os.read(master, 100_000).decode()
    os.close(master)
    (line,) = [line for line in text.splitlines() if "route=/api/tasks" in line]
    assert "method=GET status=401" in line
    assert "{" not in line


@pytest.mark.parametrize(
    ("name", "value"), [("WORKER_TIMEOUT", "0"), ("KEEPALIVE", "-1"), ("MAX_REQUESTS", "x"), ("WORKER_TMP_DIR", "/no")]
)
def test_settings_of_the_server_that_cannot_be_are_refused(make_app: MakeApp, name: str, value: str) -> None:
    from tasks_api.config import ConfigError

    with pytest.raises(ConfigError, match=f"TASKS_{name} must be"):
        make_app(**{name: value})


@embedded_only
def test_a_writer_that_hangs_holds_up_nobody_for_long(app: Flask, anna: Person) -> None:
    with ThreadPoolExecutor(1) as other:
        other.submit(app.extensions["writers"].acquire).result()
        began = time.monotonic()
        problem(anna.call("POST", "/api/tasks", json={"name": "x"}), 503, "unavailable")
        assert LOCK_SECONDS - 1 < time.monotonic() - began < LOCK_SECONDS + 4
        began = time.monotonic()
        assert anna.is_in()
        assert app.test_client().get("/health/ready").status_code == 200
        assert time.monotonic() - began < LOCK_SECONDS - 1
        other.submit(app.extensions["writers"].release).result()
    assert anna.call("POST", "/api/tasks", json={"name": "x"}).status_code == 201


@embedded_only
def test_connections_that_cannot_be_opened_are_not_counted(app: Flask, anna: Person, tmp_path: Path) -> None:
    with app.app_context():
        db.engine.dispose()
    file = tmp_path / "instance" / "tasks.db"
    file.rename(tmp_path / "away")
    file.mkdir()
    for _ in range(5):
        assert anna.call("GET", "/api/tasks").status_code == 503
    file.rmdir()
    (tmp_path / "away").rename(file)
    assert anna.is_in()
    assert metric(app, "tasks_database_connections_in_use") == 0
