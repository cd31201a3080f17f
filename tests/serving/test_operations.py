"""What an operator relies on: dying workers, full, locked and read-only disks."""

import os
import resource
import signal
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
from sqlalchemy import event

from tasks_api.database.engine import db
from tasks_api.database.sqlite import BUSY_SECONDS
from tests.conftest import Person, problem
from tests.databases import embedded_only
from tests.live import at_once, new_user, serving, workers_of


def test_workers_that_are_killed_under_load_lose_no_answered_write_and_no_session(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, workers=2) as live:
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
                os.kill(workers_of(live)[0], signal.SIGKILL)
            time.sleep(0.7)
            over.set()
            for each in done:
                each.result()
        for tokens in people:
            access = tokens["accessToken"]
            listed = {task["id"] for task in live.get("/api/tasks", access).json()}
            assert answered[access]
            assert listed >= set(answered[access])
            assert (
                live.post(
                    "/api/users/refresh_token", {"refreshToken": tokens["refreshToken"]}
                ).status_code
                == 200
            )


@embedded_only
def test_a_full_disk_is_503_for_writes_and_loses_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1) as live:
        tokens = new_user(live, "full@example.com")
        access = tokens["accessToken"]
        kept = live.post("/api/tasks", {"name": "before"}, access).json()["id"]
        (worker,) = workers_of(live)
        unlimited = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        size = max(file.stat().st_size for file in tmp_path.glob("tasks.db*"))
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, unlimited[1]))
        refused = [live.post("/api/tasks", {"name": "full"}, access) for _ in range(3)]
        assert {(each.status_code, each.json()["errorCode"]) for each in refused} == {
            (503, "unavailable")
        }
        refresh = {"refreshToken": tokens["refreshToken"]}
        assert live.post("/api/users/refresh_token", refresh).status_code == 503
        assert [task["id"] for task in live.get("/api/tasks", access).json()] == [kept]
        resource.prlimit(worker, resource.RLIMIT_FSIZE, unlimited)
        assert live.post("/api/tasks", {"name": "after"}, access).status_code == 201
        assert live.post("/api/users/refresh_token", refresh).status_code == 200


@embedded_only
@pytest.mark.parametrize("pragma", ["query_only = ON", "max_page_count = 1"])
def test_a_database_that_cannot_be_written_is_503_for_writes_alone(
    app: Flask, anna: Person, pragma: str
) -> None:
    with app.app_context():
        db.engine.dispose()
        event.listen(
            db.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {pragma}")
        )
    for number in range(200):  # a page has room for some
        answer = anna.call("POST", "/api/tasks", json={"name": f"{number}" * 30})
        if answer.status_code != 201:
            break
    problem(answer, 503, "unavailable")
    assert anna.is_in()


@embedded_only
def test_writers_do_not_queue_up_behind_a_locked_database(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2, THREADS="4") as live:
        access = new_user(live, "locked@example.com")["accessToken"]
        other = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answers = at_once(8, lambda: live.post("/api/tasks", {"name": "x"}, access))
        assert Counter(each.status_code for each in answers) == {503: 8}
        assert time.monotonic() - began < 2 * BUSY_SECONDS + 2
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
