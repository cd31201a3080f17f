"""What is hoped never to be needed, rehearsed: an upgrade under load, a restored backup, lost keys."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask

from tasks_api.config import ROOT
from tasks_api.database.commands import DEMO_EMAIL, DEMO_PASSWORD
from tasks_api.database.engine import db
from tests.conftest import MakeApp, Person, invalid_grant, joined, problem
from tests.databases import embedded_only
from tests.live import flask, serving, wait_for, working

pytestmark = embedded_only  # a server's restored backup: test_commands_on_sqlserver.py


def test_an_older_database_is_upgraded_under_a_running_service(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "tasks.db")) as connection:
        for name in ("001_tasksdb.sql", "seed.sql"):  # as the .NET original leaves it
            connection.executescript((ROOT / "sql" / "sqlite" / name).read_text())
    credentials = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD}
    with serving(tmp_path, workers=2, UPGRADE_ON_START="false") as live:
        with working(2, lambda: live.post("/api/users/login", credentials)) as answers:
            wait_for(lambda: answers[503])
            assert flask(tmp_path, "db", "upgrade")[0] == 0
            wait_for(lambda: answers[200])
        assert answers.keys() == {200, 503}
        assert live.get("/health/ready").status_code == 200
        tokens = live.post("/api/users/login", credentials).json()
        assert len(live.get("/api/tasks", tokens["accessToken"]).json()) == 3
        assert live.refresh(tokens).status_code == 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "instance"


def tasks(person: Person) -> list[str]:
    return [task["name"] for task in person.tasks()]


def test_a_restored_backup_ends_what_was_refreshed_since_and_nothing_else(
    app: Flask, make_app: MakeApp, folder: Path
) -> None:
    away, at_work = joined(app, "away@example.com"), joined(app, "work@example.com")
    at_work.add_task("before")
    file, backup = folder / "tasks.db", folder / "backup.db"
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)  # what sqlite3's .backup does, while the service runs
    at_work.add_task("after")
    at_work.renew()
    late = joined(app, "late@example.com")
    with away.client.application.app_context():
        db.engine.dispose()
    for old in folder.glob("tasks.db*"):
        old.unlink()
    backup.chmod(0o644)
    backup.rename(file)
    away.client = at_work.client = late.client = make_app().test_client()
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.glob("tasks.db*")} == {0o600}
    assert away.refreshed().status_code == 200
    for person in (at_work, late):  # their tokens name what the backup does not know
        assert not person.is_in()
        invalid_grant(person.refreshed())
    at_work.log_in()
    assert tasks(at_work) == ["before"]
    assert at_work.refreshed().status_code == 200


def test_a_lost_key_costs_what_it_made_and_breaks_nothing_else(
    make_app: MakeApp, anna: Person, folder: Path
) -> None:
    anna.add_task("kept")
    (folder / "jwt_secret_key").unlink()
    anna.client = make_app().test_client()
    problem(anna.call("GET", "/api/tasks"), 401, "A03")
    anna.renew()  # nobody has to sign in
    assert tasks(anna) == ["kept"]
    (folder / "refresh_token_key").unlink()
    anna.client = make_app().test_client()
    assert tasks(anna) == ["kept"]
    invalid_grant(anna.refreshed())
    anna.log_in()
    assert len(anna.sessions()) == 2  # the old one is listed until it runs out or is signed out
    assert anna.refreshed().status_code == 200


def test_a_damaged_file_that_is_mended_in_place_is_used_again(anna: Person, folder: Path) -> None:
    file = folder / "tasks.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = file.read_bytes()
    file.write_bytes(os.urandom(len(whole)))
    for path in ("/api/tasks", "/health/ready", "/api/tasks"):
        problem(anna.call("GET", path), 503, "unavailable")
    file.write_bytes(whole)
    assert anna.client.get("/health/ready").status_code == 200
    assert anna.add_task().status_code == 201
    assert tasks(anna) == ["x"]
