"""What an operator relies on: workers that die, a database that is locked, another WSGI server."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from wsgiref.validate import validator

import pytest
from flask import Flask
from werkzeug.test import Client

from tasks_api.database import sqlite
from tests.conftest import MakeApp, joined
from tests.databases import embedded_only
from tests.live import at_once


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
