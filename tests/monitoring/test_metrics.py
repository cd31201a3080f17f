"""/metrics: what is counted, over all workers."""

import os
import re
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from flask import Flask
from sqlalchemy import text

from tasks_api.database.engine import db, fetch_one
from tests.conftest import Person
from tests.databases import embedded_only
from tests.live import Live, at_once, new_user, serving, wait_for, wait_until_up, workers_of


def total(metrics: str, start: str) -> float:
    """The sum of the series whose lines begin so."""
    lines = metrics.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(start))


def metric(app: Flask, name: str) -> float:
    return total(app.test_client().get("/metrics").text, f"{name} ")


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
def test_metrics_answer_while_the_database_does_not_and_count_no_failed_connection(
    app: Flask, anna: Person, tmp_path: Path
) -> None:
    with app.app_context():
        db.engine.dispose()
    file = tmp_path / "instance" / "tasks.db"
    away = file.rename(tmp_path / "away")
    file.mkdir()
    for _ in range(5):
        assert anna.call("GET", "/api/tasks").status_code == 503
    text = anna.client.get("/metrics").text
    assert "tasks_request_seconds_count" in text
    assert "tasks_sessions" not in text
    file.rmdir()
    away.rename(file)
    assert anna.is_in()
    assert metric(app, "tasks_database_connections_in_use") == 0


def test_a_worker_that_died_in_the_middle_is_not_in_flight_for_ever(tmp_path: Path) -> None:
    with (
        serving(tmp_path, PASSWORD_ITERATIONS="5000000") as live,
        ThreadPoolExecutor(1) as pool,
    ):
        login = pool.submit(
            lambda: live.post("/api/users/login", {"email": "x@example.com", "password": "x"})
        )
        under_way = "tasks_requests_in_flight 2.0"
        assert any(under_way in live.get("/metrics").text for _ in range(200))
        os.kill(workers_of(live)[0], signal.SIGKILL)
        with pytest.raises(requests.ConnectionError):
            login.result()
        wait_until_up(live)
        assert "tasks_requests_in_flight 1.0" in live.get("/metrics").text


def folder_of(worker: int) -> Path:
    """Where a worker counts, as the files say that it has mapped into its memory."""
    found = re.search(r"(/\S+/tasks-api-\w+)/", Path(f"/proc/{worker}/maps").read_text())
    assert found
    return Path(found[1])


def test_files_of_metrics_that_are_empty_or_gone_take_nothing_else_down(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        (worker,) = workers_of(live)
        # As systemd does when its user logs out, and before there was a request:
        shutil.rmtree(folder_of(worker))
        tokens = new_user(live, "anna@example.com")
        assert live.refresh(tokens).status_code == 200
        answer = live.get("/metrics")
        assert (answer.status_code, answer.json()["errorCode"]) == (503, "unavailable")
        live.process.send_signal(signal.SIGHUP)
        (worker,) = wait_for(lambda: set(workers_of(live)) - {worker})
        wait_until_up(live)
        assert "tasks_requests_in_flight 1.0" in live.get("/metrics").text
        # As of a worker that was killed between two steps:
        (folder_of(worker) / f"counter_{worker}.db").write_bytes(b"")
        os.kill(worker, signal.SIGKILL)
        (worker,) = wait_for(lambda: set(workers_of(live)) - {worker})
        assert "tasks_requests_in_flight 1.0" in live.get("/metrics").text


def test_metrics_count_by_route(anna: Person) -> None:
    anna.call("GET", "/api/tasks/12345")
    text = anna.client.get("/metrics").text
    assert 'method="GET",route="/api/tasks/<task_id>",status="404"' in text
    assert "tasks/12345" not in text
    assert 'tasks_security_events_total{event="login_ok",reason=""}' in text


def test_metrics_count_over_all_workers(live: Live) -> None:
    def count() -> float:
        start = 'tasks_request_seconds_count{method="GET",route="/health/live"'
        return total(live.get("/metrics").text, start)

    before = count()
    at_once(30, lambda: live.get("/health/live"))
    assert count() == before + 30


def test_what_alerts_wait_for_is_counted_from_zero(tmp_path: Path) -> None:
    """What begins at 1 does not increase."""
    kinds = [("session_ended", "replay"), ("session_ended", "void_used")]
    with serving(tmp_path) as live:
        text = live.get("/metrics").text
    for event, reason in (*kinds, ("access_token_forged", "")):
        assert f'tasks_security_events_total{{event="{event}",reason="{reason}"}} 0.0' in text
