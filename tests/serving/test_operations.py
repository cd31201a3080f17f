"""What an operator relies on: dying workers, full, locked and read-only disks."""

import os
import resource
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from wsgiref.validate import validator

import pytest
import requests
from flask import Flask
from sqlalchemy import event
from werkzeug.test import Client

from tasks_api.database import sqlite
from tasks_api.database.engine import db
from tests.conftest import MakeApp, Person, joined, problem
from tests.databases import embedded_only
from tests.live import at_once, new_user, serving, workers_of, working


def test_workers_that_are_killed_under_load_lose_no_answered_write_and_no_session(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, workers=2) as live:
        tokens = new_user(live, "killed@example.com")
        access = tokens["accessToken"]
        answered: set[int] = set()

        def work() -> requests.Response:
            while True:
                try:
                    answer = live.post("/api/tasks", {"name": "x"}, access)
                    answered.add(answer.json()["id"])
                    return answer
                except requests.RequestException:  # cut off, in the middle of an answer even
                    continue

        with working(4, work) as answers:
            for _ in range(3):
                before = answers[201]
                while answers[201] < before + 20:
                    time.sleep(0.05)
                os.kill(workers_of(live)[0], signal.SIGKILL)
        assert answers.keys() == {201}
        assert {task["id"] for task in live.get("/api/tasks", access).json()} >= answered
        assert live.refresh(tokens).status_code == 200


@embedded_only
def test_a_full_disk_is_503_for_writes_and_loses_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        tokens = new_user(live, "full@example.com")
        access = tokens["accessToken"]
        kept = live.post("/api/tasks", {"name": "before"}, access).json()
        (worker,) = workers_of(live)
        unlimited = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        size = max(file.stat().st_size for file in tmp_path.glob("tasks.db*"))
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, unlimited[1]))
        refused = [live.post("/api/tasks", {"name": "full"}, access), live.refresh(tokens)]
        assert [each.status_code for each in refused] == [503, 503]
        assert live.get("/api/tasks", access).json() == [kept]
        resource.prlimit(worker, resource.RLIMIT_FSIZE, unlimited)
        assert live.post("/api/tasks", {"name": "after"}, access).status_code == 201
        assert live.refresh(tokens).status_code == 200


@embedded_only
def test_a_database_that_cannot_be_written_is_503_for_writes_alone(
    app: Flask, anna: Person
) -> None:
    def protect(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    with app.app_context():
        db.engine.dispose()
        event.listen(db.engine, "connect", protect)
    problem(anna.add_task(), 503, "unavailable")
    assert anna.is_in()


@embedded_only
def test_writers_do_not_queue_up_behind_a_locked_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_app: MakeApp
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 1)
    anna = joined(make_app())
    with closing(sqlite3.connect(tmp_path / "instance" / "tasks.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answers = at_once(4, lambda: anna.add_task())
        assert Counter(each.status_code for each in answers) == {503: 4}
        assert time.monotonic() - began < 3  # and not one second after the other
        assert anna.tasks() == []
    assert anna.add_task().status_code == 201


def test_it_is_a_plain_wsgi_application(app: Flask) -> None:
    answer = Client(validator(app)).get("/health/live", buffered=True)
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})
