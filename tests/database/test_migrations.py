"""The runner applies each script once, and whole; the operator's commands say what they did."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Connection, inspect, text

from tasks_api.config import current_settings
from tasks_api.database import migrations
from tasks_api.database.commands import DEMO_EMAIL, DEMO_PASSWORD
from tasks_api.database.engine import db, execute
from tasks_api.database.migrations import MigrationError, pending, run, scripts, seed, upgrade
from tests.conftest import MakeApp, Person, said
from tests.databases import embedded_only
from tests.live import at_once, flask, output_of


@embedded_only
def test_another_process_leaves_the_service_its_database(
    app: Flask, anna: Person, tmp_path: Path
) -> None:
    """A process that thinks itself alone with the file would delete what the service writes to."""
    with app.app_context():
        connections = [db.engine.connect() for _ in range(3)]  # each once looked at the file
    log = tmp_path / "instance" / "tasks.db-wal"
    before = log.stat().st_ino
    other = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT 1 FROM Task').fetchall()"
    )
    file = tmp_path / "instance" / "tasks.db"
    output_of(sys.executable, "-c", other, str(file))
    assert log.stat().st_ino == before
    for connection in connections:
        connection.close()


def waiting() -> list[int]:
    return [int(script.name[:3]) for script in pending(db.engine, current_settings)]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("INSERT INTO Nowhere VALUES (1);", r"(?i)004_bad\.sql.*Nowhere"),
        ("", r"004_bad\.sql did not record itself"),
    ],
)
def test_a_script_that_fails_or_forgets_to_record_itself_leaves_nothing_half_done(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, why: str
) -> None:
    folder = tmp_path / "sql"
    with make_app(UPGRADE_ON_START="false").app_context():
        shutil.copytree(migrations._folder(current_settings), folder)
        (folder / "004_bad.sql").write_text(f"CREATE TABLE Half (Id int);\n{more}\n")
        monkeypatch.setattr(migrations, "_folder", lambda _settings: folder)
        with pytest.raises(MigrationError, match=why):
            upgrade(db.engine, current_settings)
        assert waiting() == [4]
        assert not inspect(db.engine).has_table("Half")


@contextmanager
def original() -> Iterator[Connection]:
    """A connection to a database as the first script leaves it: the original's tables and no others."""
    with migrations._patient(db.engine) as connection:
        migrations._lock(connection)
        run(connection, scripts(current_settings)[0])
        yield connection
        migrations._execute(connection, "COMMIT")


def test_emails_that_collide_are_listed_and_nothing_changes(make_app: MakeApp) -> None:
    app = make_app(UPGRADE_ON_START="false")
    with app.app_context():
        with original() as connection:
            for email in ("a@b.se", "A@b.se", "c@d.se"):
                connection.exec_driver_sql(
                    'INSERT INTO "User" (Email, Password, PasswordSalt, FirstName, LastName, TS, Active)'
                    f" VALUES ('{email}', '', '', '', '', '2026-01-01 00:00:00', 1)"
                )
        with pytest.raises(MigrationError, match=r"first: a@b\.se \(2 times\)$"):
            upgrade(db.engine, current_settings)
        assert waiting() == [2, 3]
    assert Person(app.test_client()).log_in().status_code == 401  # what is there goes on working


def test_rows_of_the_original_become_sessions(make_app: MakeApp) -> None:
    app = make_app(UPGRADE_ON_START="false")
    with app.app_context():
        with original() as connection:
            run(connection, migrations._folder(current_settings) / "seed.sql")
            for _ in range(2):
                connection.exec_driver_sql(
                    "INSERT INTO RefreshToken (UserId, TokenHash, TokenSalt, TS, ExpiryDate)"
                    " VALUES (1, 'h', 's', '2026-01-01 00:00:00', '2070-01-01 00:00:00')"
                )
        upgrade(db.engine, current_settings)
    anna = Person(app.test_client(), DEMO_EMAIL, DEMO_PASSWORD)
    anna.log_in()
    listed = anna.sessions()
    assert len({entry["sessionId"] for entry in listed}) == 3


def test_seeding_needs_an_empty_database(app: Flask) -> None:
    with app.app_context():
        assert seed(db.engine, current_settings)
        assert not seed(db.engine, current_settings)
    anna = Person(app.test_client(), DEMO_EMAIL, DEMO_PASSWORD)
    assert anna.log_in().status_code == 200
    assert len(anna.tasks()) == 3


def test_processes_that_upgrade_together_apply_each_script_once(tmp_path: Path) -> None:
    done = at_once(4, lambda: flask(tmp_path, "db", "upgrade"))
    assert [code for code, _ in done] == [0] * 4
    applied = "".join(output for _, output in done)
    assert [applied.count(f"Applied 00{number}") for number in (1, 2, 3)] == [1, 1, 1]


@embedded_only
def test_the_commands_say_what_they_did(make_app: MakeApp) -> None:
    empty = make_app(UPGRADE_ON_START="false")
    advice = "(001_tasksdb.sql, 002_sessions.sql, 003_lost_answers.sql): run 'flask --app tasks_api db upgrade'"
    assert f"not current {advice}" in said(empty, "db", "check", fails=True)
    assert "not current: run 'flask --app tasks_api db upgrade'" in said(
        empty, "db", "seed", fails=True
    )
    app = make_app()
    for _ in range(2):
        assert DEMO_PASSWORD in said(app, "db", "seed")
    assert "schema      current" in said(app, "db", "check")
    with app.app_context():
        execute(text("UPDATE \"User\" SET Email = 'x' || Id"))
    assert "other users" in said(app, "db", "seed")
