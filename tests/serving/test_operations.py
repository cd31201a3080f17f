"""What an operator relies on: workers that die, a database that is locked, another WSGI server."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from wsgiref.validate import validator

import pytest
import requests
from flask import Flask
from werkzeug.test import Client

from tasks_api.database import sqlite
from tests.conftest import MakeApp, joined
from tests.databases import embedded_only
from tests.live import at_once, new_user, serving, wait_for, workers_of, working


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
                except requests.RequestException:  # cut off, even in the middle of an answer
                    continue

        with working(4, work) as answers:
            for count in (20, 40, 60):
                wait_for(partial(lambda count: answers[201] >= count, count))
                os.kill(workers_of(live)[0], signal.SIGKILL)
        assert answers.keys() == {201}
        assert {task["id"] for task in live.get("/api/tasks", access).json()} >= answered
        assert live.refresh(tokens).status_code == 200


@embedded_only
def test_writers_wait_for_a_locked_database_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_app: MakeApp
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 1)
    anna = joined(make_app())
    with closing(sqlite3.connect(tmp_path / "instance" / "tasks.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        answers = at_once(4, lambda: anna.add_task().status_code)
        assert answers == [503] * 4
        assert time.monotonic() - began < 3  # and not one second after the other
        assert anna.tasks() == []
    assert anna.add_task().status_code == 201


def test_it_is_a_plain_wsgi_application(app: Flask) -> None:
    answer = Client(validator(app)).get("/health/live", buffered=True)
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})
