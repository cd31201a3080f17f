"""/metrics: what is counted, over all workers."""

import os
import re
import shutil
import signal
import socket
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import text

from tasks_api.database.engine import db, fetch_one
from tests.conftest import Person
from tests.databases import embedded_only
from tests.live import Live, at_once, new_user, serving, wait_for, wait_until_up, workers_of


def total(metrics: str, start: str) -> float:
    """The sum of the series whose lines begin with ``start``."""
    lines = metrics.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(start))


def metric(app: Flask, name: str) -> float:
    return total(app.test_client().get("/metrics").text, f"{name} ")


def test_metrics_know_requests_and_connections(app: Flask) -> None:
    assert metric(app, "tasks_requests_in_flight") == 1  # this one
    assert metric(app, "tasks_database_connections_in_use") == 0
    with app.app_context():
        fetch_one(text("SELECT 1"))
        assert metric(app, "tasks_database_connections_in_use") == 1
    assert metric(app, "tasks_database_connections_in_use") == 0


@embedded_only
def test_metrics_answer_without_a_database_and_count_no_failed_connection(
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
    file.rmdir()
    away.rename(file)
    assert anna.is_in()
    assert metric(app, "tasks_database_connections_in_use") == 0


ASKED = 'tasks_request_seconds_count{method="GET",route="/metrics"'


def folder_of(worker: int) -> Path:
    """The folder of the files that a worker counts in, as its memory map names them."""
    found = re.search(r"(/\S+/tasks-api-\w+)/", Path(f"/proc/{worker}/maps").read_text())
    assert found
    return Path(found[1])


def test_a_worker_that_ends_leaves_no_request_in_flight_and_no_file_behind(
    tmp_path: Path,
) -> None:
    incomplete = b"POST /api/users/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    with (
        serving(tmp_path) as live,
        socket.create_connection(("127.0.0.1", urlsplit(live.url).port)) as line,
    ):
        line.sendall(incomplete)
        wait_for(lambda: "in_flight 2.0" in live.get("/metrics").text)
        folder = folder_of(*workers_of(live))
        files = sorted(folder.iterdir())
        for act in (signal.SIGKILL, signal.SIGTERM):
            asked = total(live.get("/metrics").text, ASKED)
            ended = workers_of(live)
            os.kill(ended[0], act)
            wait_for(partial(lambda ended: workers_of(live) not in (ended, []), ended))
            wait_until_up(live)
            text = live.get("/metrics").text
            assert "in_flight 1.0" in text
            assert total(text, ASKED) > asked  # what the worker has counted is still there
            assert sorted(folder.iterdir()) == files


def test_without_their_folder_only_metrics_are_unavailable_until_a_reload(tmp_path: Path) -> None:
    """systemd empties /dev/shm when a user logs out (RemoveIPC)."""
    with serving(tmp_path) as live:
        (worker,) = workers_of(live)
        shutil.rmtree(folder_of(worker))
        tokens = new_user(live, "anna@example.com")
        assert live.refresh(tokens).status_code == 200
        answer = live.get("/metrics")
        assert (answer.status_code, answer.json()["errorCode"]) == (503, "unavailable")
        live.process.send_signal(signal.SIGHUP)
        wait_for(lambda: set(workers_of(live)) - {worker})
        wait_until_up(live)
        assert "in_flight 1.0" in live.get("/metrics").text


def test_metrics_count_by_route(anna: Person) -> None:
    anna.call("GET", "/api/tasks/12345")
    text = anna.client.get("/metrics").text
    assert 'method="GET",route="/api/tasks/<id:task_id>",status="404"' in text
    assert "tasks/12345" not in text
    assert 'tasks_security_events_total{event="login_ok",reason=""}' in text


def test_metrics_count_over_all_workers(live: Live) -> None:
    def count() -> float:
        start = 'tasks_request_seconds_count{method="GET",route="/health/live"'
        return total(live.get("/metrics").text, start)

    before = count()
    at_once(30, lambda: live.get("/health/live"))
    assert count() == before + 30


def test_events_that_alerts_wait_for_are_counted_from_zero(tmp_path: Path) -> None:
    """Prometheus cannot see the first event if the series starts at 1."""
    with serving(tmp_path) as live:
        text = live.get("/metrics").text
    for labels in (
        'event="session_ended",reason="replay"',
        'event="session_ended",reason="void_used"',
        'event="access_token_forged",reason=""',
    ):
        assert f"tasks_security_events_total{{{labels}}} 0.0" in text
