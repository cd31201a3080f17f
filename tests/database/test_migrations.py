"""The runner applies each script once and completely; flask db says what it did."""

import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from tasks_api.config import current_settings
from tasks_api.database import migrations, sqlite
from tasks_api.database.commands import DEMO_EMAIL, DEMO_PASSWORD
from tasks_api.database.engine import db, execute
from tasks_api.database.migrations import MigrationError, pending, scripts, upgrade
from tasks_api.database.tables import USER, user_table
from tests.conftest import MakeApp, Person, problem, said, stored, write
from tests.database.conftest import FakeTime, failure, upgrade_as
from tests.databases import embedded_only
from tests.live import at_once, flask

OFF = {"UPGRADE_ON_START": "false"}


@pytest.fixture
def original(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An app on a database that has the tables of the .NET original, and its users."""
    app = make_app(**OFF)
    with app.app_context():
        upgrade_as(scripts(current_settings)[:1], monkeypatch)
        migrations.seed(current_settings)
    return app


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("INSERT INTO Nowhere VALUES (1);", r"(?i)999_bad\.sql.*Nowhere"),
        ("", r"999_bad\.sql did not record itself"),
    ],
)
def test_a_script_that_fails_or_forgets_to_record_itself_leaves_nothing(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, reason: str
) -> None:
    bad = tmp_path / "999_bad.sql"
    bad.write_text(f"CREATE TABLE Half (Id int);\n{more}\n")
    with app.app_context():
        with pytest.raises(MigrationError, match=reason):
            upgrade_as([*scripts(current_settings), bad], monkeypatch)
        assert not inspect(db.engine).has_table("Half")


def test_no_scripts_or_two_of_one_number_are_an_error(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "ROOT", tmp_path)
    for command in ("upgrade", "check"):
        assert "There are no schema scripts" in said(app, "db", command, fails=True)
    for folder in ("sqlite", "sqlserver"):
        (tmp_path / "sql" / folder).mkdir(parents=True)
        for name in ("004_mine", "004_yours"):
            (tmp_path / "sql" / folder / f"{name}.sql").touch()
    assert "have the same number" in said(app, "db", "upgrade", fails=True)


def test_emails_that_collide_stop_the_upgrade_and_nothing_changes(original: Flask) -> None:
    with original.app_context():
        execute(text("UPDATE \"User\" SET Email = 'a@b.se' WHERE Id = 1"))
        execute(text("UPDATE \"User\" SET Email = 'A@B.se' WHERE Id = 2"))
        before = pending(db.engine, current_settings)
        with pytest.raises(MigrationError, match=r"(?i)002_sessions\.sql.*User.Email"):
            upgrade(current_settings)
        assert pending(db.engine, current_settings) == before
        columns = inspect(db.engine).get_columns("RefreshToken")
        assert "SessionId" not in {column["name"] for column in columns}


def test_a_database_of_the_original_is_upgraded_under_a_running_service(original: Flask) -> None:
    anna = Person(original.test_client(), DEMO_EMAIL, DEMO_PASSWORD)
    problem(anna.log_in(), 500, "internal")  # the schema is not ours yet
    with original.app_context():
        for _ in range(2):
            execute(
                text(
                    "INSERT INTO RefreshToken (UserId, TokenHash, TokenSalt, TS, ExpiryDate)"
                    " VALUES (1, 'h', 's', '2026-01-01 00:00:00', '2070-01-01 00:00:00')"
                )
            )
        upgrade(current_settings)
    assert anna.log_in().status_code == 200
    assert anna.tasks()
    assert len({entry["sessionId"] for entry in anna.sessions()}) == 3


def test_processes_that_upgrade_together_apply_each_script_once(
    app: Flask, tmp_path: Path
) -> None:
    done = at_once(4, lambda: flask(tmp_path, "db", "upgrade", **OFF))
    assert [code for code, _ in done] == [0] * 4
    applied = [line for _, output in done for line in output.splitlines() if "Applied" in line]
    with app.app_context():
        assert sorted(applied) == [f"Applied {each.name}" for each in scripts(current_settings)]


def test_a_script_that_another_process_applied_meanwhile_is_not_applied_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        monkeypatch.setattr(migrations, "pending", lambda *_: scripts(current_settings))
        assert upgrade(current_settings) == []


@embedded_only
def test_an_upgrade_waits_for_another_one_longer_than_a_request_does(
    original: Flask, other_program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0)
    other_program.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, other_program.execute, ["ROLLBACK"]).start()
    with original.app_context():
        assert upgrade(current_settings)


def test_demo_users_are_added_to_a_database_without_users(make_app: MakeApp) -> None:
    app = make_app(**OFF)
    assert "run 'flask --app tasks_api db upgrade'" in said(app, "db", "check", fails=True)
    said(app, "db", "seed", fails=True)
    assert "Applied" in said(app, "db", "upgrade")
    assert "current" in said(app, "db", "check")
    for _ in range(2):
        assert DEMO_PASSWORD in said(app, "db", "seed")
    assert Person(app.test_client(), DEMO_EMAIL, DEMO_PASSWORD).log_in().status_code == 200
    write(app, user_table, USER.email == DEMO_EMAIL, email="other@example.com")
    users = stored(app, user_table)
    assert "other users" in said(app, "db", "seed")
    assert stored(app, user_table) == users


@pytest.mark.parametrize(
    ("number", "seconds", "waits"), [(40613, 30, True), (40613, 99, False), (18456, 30, False)]
)
def test_commands_wait_for_a_server_that_will_be_back_soon(
    app: Flask,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    seconds: int,
    waits: bool,
) -> None:
    def answer(*_arguments: object) -> list[Path]:
        if fake_time.seconds < seconds:
            raise DBAPIError(None, {}, failure("Not now", number))
        return []

    monkeypatch.setattr(migrations, "pending", answer)
    for command in ("check", "upgrade"):
        said(app, "db", command, fails=not waits)
