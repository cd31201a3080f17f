"""The embedded database: a file that is locked, full, read-only, damaged or opened by others."""

import os
import sqlite3
import stat
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from tasks_api.database.engine import db
from tests.conftest import MakeApp, Person, problem, said
from tests.databases import embedded_only
from tests.live import output_of

pytestmark = embedded_only


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "instance"


@pytest.mark.parametrize("pragma", ["query_only = ON", "max_page_count = 1", "busy_timeout = 0"])
def test_a_file_that_is_read_only_full_or_locked_is_503_for_writes_alone(
    app: Flask, anna: Person, other_program: Any, pragma: str
) -> None:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA {pragma}")

    with app.app_context():
        db.engine.dispose()
        event.listen(db.engine, "connect", prepare)
    if "busy" in pragma:
        other_program.execute("BEGIN IMMEDIATE")
    answers = [anna.add_task("x" * 100) for _ in range(100)]  # until the last page is full
    problem(answers[-1], 503, "unavailable")
    assert len(anna.tasks()) == [answer.status_code for answer in answers].count(201)


def test_a_damaged_file_is_503_until_it_is_restored_in_place(anna: Person, folder: Path) -> None:
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


class OnSharedFolder(sqlite3.Connection):
    """Connects to a file on a folder without shared memory."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if "journal_mode" in sql:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return super().execute(sql, *parameters)


def test_a_shared_folder_is_named_as_the_cause(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = partial(sqlite3.connect, factory=OnSharedFolder)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", connect)
    refusal = said(make_app(), "db", "check", fails=True)
    assert "disk I/O error: is the file on a shared folder" in refusal
    assert "TASKS_INSTANCE_PATH" in refusal


def test_a_restored_backup_is_made_private(
    app: Flask, anna: Person, make_app: MakeApp, folder: Path
) -> None:
    with app.app_context():
        db.engine.dispose()
    (folder / "tasks.db").chmod(0o644)
    anna.client = make_app().test_client()
    anna.renew()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.glob("tasks.db*")}
    assert modes == dict.fromkeys(("tasks.db", "tasks.db-wal", "tasks.db-shm"), 0o600)


def test_another_process_that_opens_the_file_leaves_the_log_to_the_service(
    app: Flask, anna: Person, folder: Path
) -> None:
    """A process that believes it is the last one deletes the log that the service writes to."""
    with app.app_context():
        connections = [db.engine.connect() for _ in range(3)]  # each once looked at the file
    log = folder / "tasks.db-wal"
    before = log.stat().st_ino
    other = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT 1 FROM Task').fetchall()"
    output_of(sys.executable, "-c", other, str(folder / "tasks.db"))
    assert log.stat().st_ino == before
    for connection in connections:
        connection.close()
