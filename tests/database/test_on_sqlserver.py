"""Promises that only a SQL Server can keep or break. Other promises are tested on it too, elsewhere."""

import re
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tasks_api.config import ROOT, current_settings
from tasks_api.database import migrations, sqlserver
from tasks_api.database.engine import db
from tasks_api.database.tables import session_table
from tests.conftest import MakeApp, Person, joined, problem, said, write
from tests.database.conftest import upgrade_as
from tests.database.original import Original
from tests.databases import TABLES, batches, databases, needs_server
from tests.live import code_block, environment, flask, output_of

pytestmark = needs_server
PAGE = "docs/sql-server.md"
OFF = {"UPGRADE_ON_START": "false"}


# --- databases that others made ------------------------------------------------------------------------------


@pytest.fixture
def empty(make_app: MakeApp) -> Iterator[Flask]:
    """An app on a database without tables."""
    app = make_app(**OFF)
    with app.app_context():
        yield app


def upgrade_with(collation: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = migrations.scripts(current_settings)
    changed = folder / first.name
    changed.write_text(
        re.sub(r"(nvarchar\(\d+\))", rf"\1 COLLATE {collation}", first.read_text())
    )
    upgrade_as([changed, *others], monkeypatch)


@pytest.mark.parametrize(
    "collation", ["Latin1_General_CI_AI", "Latin1_General_100_CI_AS_SC_UTF8"]
)
def test_any_collation_that_ignores_case_works(
    empty: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collation: str
) -> None:
    try:
        upgrade_with(collation, tmp_path, monkeypatch)
    except migrations.MigrationError as error:
        if "does not exist" not in str(error):
            raise
        pytest.skip(f"this server has no such collation: {error}")
    anna = joined(empty)
    problem(anna.sign_up(email="ANNA@EXAMPLE.COM"), 422, "S02")
    task = anna.add_task("Köp mjölk 🥛").get_json()
    assert anna.tasks() == [task]


@pytest.mark.parametrize("collation", ["Latin1_General_CS_AS", "Turkish_CI_AS"])
def test_a_collation_of_emails_that_tells_case_apart_is_refused_by_name(
    empty: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collation: str
) -> None:
    with pytest.raises(
        migrations.MigrationError, match=r"collation of User\.Email, \S+, tells I"
    ):
        upgrade_with(collation, tmp_path, monkeypatch)


def test_a_trigger_is_refused_by_name(empty: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade_as(migrations.scripts(current_settings)[:1], monkeypatch)
    trigger = "CREATE TRIGGER AuditTask ON Task AFTER INSERT AS SELECT 1"
    databases.execute(databases.shared, trigger)
    with pytest.raises(migrations.MigrationError, match=r"(?i)the trigger AuditTask"):
        migrations.upgrade(current_settings)


# --- locks of another program --------------------------------------------------------------------------------


def test_the_victim_of_a_deadlock_is_retried(
    anna: Person, app: Flask, other_program: Any
) -> None:
    """A login locks the user, then its sessions. The other program locks them in the other order."""
    write(app, session_table, expiry_date=datetime(2020, 1, 1, tzinfo=UTC))  # a login deletes it
    other_program.execute("SET DEADLOCK_PRIORITY HIGH")
    other_program.execute("BEGIN TRANSACTION")
    other_program.execute("UPDATE RefreshToken SET Counter = Counter")
    with ThreadPoolExecutor(1) as pool:
        login = pool.submit(anna.log_in)
        time.sleep(1)  # until the login waits for the session
        with suppress(Exception):  # each of the two can be the victim
            other_program.execute("UPDATE [User] SET Active = 1")
        other_program.execute("IF @@TRANCOUNT > 0 ROLLBACK")
        assert login.result(30).status_code == 200


def test_a_lock_that_is_held_too_long_is_503(anna: Person, other_program: Any) -> None:
    task = anna.add_task().get_json()["id"]
    other_program.execute("BEGIN TRANSACTION")
    other_program.execute("UPDATE Task SET Name = Name")
    answer = anna.call("DELETE", f"/api/tasks/{task}")
    if answer.status_code == 500 and databases.is_imitation():
        pytest.skip("this server has another number for it")
    problem(answer, 503, "unavailable")


# --- beside the .NET original --------------------------------------------------------------------------------


def test_users_go_back_and_forth_between_this_service_and_the_original(
    make_app: MakeApp, other_program: Any
) -> None:
    app = make_app(MAX_SESSIONS="1", PASSWORD_ITERATIONS="100000")
    anna, olle = joined(app), Person(app.test_client(), "olle@example.com")
    original = Original(other_program)

    anna.add_task("made here")
    # The original reads our password and replaces our session.
    assert original.log_in(anna.email, "token one")
    assert not anna.is_in()
    assert original.accepts(anna.user_id, "token one")
    original.add_task(anna.user_id, "made there")
    assert original.tasks(anna.user_id) == ["made here", "made there"]

    anna.log_in()  # we replace the original's session
    assert not original.accepts(anna.user_id, "token one")
    assert len(anna.tasks()) == 2
    anna.renew()
    original.log_out(anna.user_id)
    assert not anna.is_in()

    anna.log_in()
    anna.change_info(email="new@example.com", currentPassword=anna.password)
    assert not original.log_in(anna.email, "token two")
    assert original.log_in("new@example.com", "token two")
    anna.email = "new@example.com"
    anna.log_in()
    assert anna.delete_account().status_code == 204
    assert not original.log_in(anna.email, "token two")

    original.sign_up(olle.email)
    assert olle.log_in().status_code == 200
    assert original.log_in(olle.email, "token three")
    assert original.accepts(olle.user_id, "token three")


# --- commands and pages of the operator ----------------------------------------------------------------------


def flask_db(instance: Path, *words: str) -> tuple[int, str]:
    """Return the exit status and the output of ``flask db``."""
    return flask(instance, "db", *words, **OFF)


def test_scripts_that_are_run_by_hand_leave_a_database_that_check_accepts(tmp_path: Path) -> None:
    code, output = flask_db(tmp_path, "check")
    assert code == 1
    assert "run 'flask --app tasks_api db upgrade'" in output
    for _ in range(2):
        for path in sorted((ROOT / "sql" / "sqlserver").glob("[0-9]*.sql"))[1:]:
            script = batches(path.read_text())
            databases.execute(tmp_path, "SET QUOTED_IDENTIFIER OFF", *script)  # as sqlcmd begins
    code, output = flask_db(tmp_path, "check")
    assert code == 0, output
    assert re.search(r"server +SQL Server \d", output)


def test_the_documented_way_to_a_server_that_exists(tmp_path: Path) -> None:
    commands = code_block(PAGE, "## On a server that exists").splitlines()
    script = [line for line in commands if not line.startswith(("make", "export TASKS_DATABASE"))]
    if databases.is_imitation():  # which cannot set the database's option
        script = [line for line in script if "db create" not in line]
    script.append(".venv/bin/flask --app tasks_api db check")
    text = "\n".join(script).replace(".venv/bin/flask", f"{sys.executable} -m flask")
    output = output_of(
        "bash", "-euc", text, environ=environment(tmp_path, UPGRADE_ON_START="false")
    )
    assert "Applied 002_sessions.sql" in output


def test_the_documented_login_has_what_the_service_needs_and_no_more(
    tmp_path: Path, make_app: MakeApp
) -> None:
    assert flask_db(tmp_path, "upgrade")[0] == 0
    login = f"tasks_test_{uuid.uuid4().hex[:8]}"
    script = code_block(PAGE, "## Least privilege", "sql").replace("tasks_service", login)
    password = script.split("PASSWORD = N'")[1].split("'")[0]
    # The first of two equal names counts.
    service = f"UID={login};PWD={password};{databases.made[tmp_path]}"
    app = make_app(DATABASE_URL=service, **OFF)
    try:
        databases.execute(tmp_path, *filter(str.strip, script.split(";")))
        anna = joined(app)
        anna.add_task()
        anna.renew()
        assert anna.client.get("/health/ready").status_code == 200
        assert anna.delete_account().status_code == 204
        for forbidden in (
            "CREATE TABLE X (Id int)",
            "DROP TABLE Task",
            "DELETE FROM SchemaVersion",
        ):
            with (
                closing(sqlserver.connect(service)) as limited,
                pytest.raises(Exception, match=r"(?i)permission|must be owner"),
            ):
                limited.execute(forbidden)
        schema = f"{login}_schema"
        moved = f"ALTER USER {login} WITH DEFAULT_SCHEMA = {schema}"
        databases.execute(tmp_path, f"CREATE SCHEMA {schema}", moved)
        with app.app_context():
            db.engine.dispose()
        assert "must be dbo" in said(app, "db", "seed", fails=True)
    finally:
        with app.app_context():
            db.engine.dispose()  # a login that is in use cannot be dropped
        things = [f"TABLE {table}" for table in TABLES]
        things += [f"SCHEMA {login}_schema", f"USER {login}", f"LOGIN {login}"]
        databases.execute(tmp_path, *(f"DROP {thing}" for thing in things))


def test_a_backup_can_be_restored(tmp_path: Path) -> None:
    for command in ("upgrade", "seed"):
        assert flask_db(tmp_path, command)[0] == 0
    name = f"[{sqlserver.database_name(databases.made[tmp_path])}]"
    count = f"SELECT COUNT(*) FROM {name}.dbo.Task"
    script = code_block(PAGE, "## Backup", "sql").replace("DATABASE TasksDb", f"DATABASE {name}")
    backup, restore = script.splitlines()
    with closing(sqlserver.connect(databases.on("master"), query_seconds=60)) as connection:
        before = connection.execute(count).fetchval()
        for statement in (backup, f"DELETE FROM {name}.dbo.Task", restore):
            try:
                cursor = connection.execute(statement)
                while cursor.nextset():
                    pass
            except Exception as error:
                if "not currently supported" in str(error):
                    pytest.skip(f"this server has no backups: {error}")
                raise
        assert connection.execute(count).fetchval() == before > 0


@pytest.mark.skipif(not shutil.which("wrk"), reason="needs wrk")
def test_the_benchmark_sends_what_the_service_sends() -> None:
    options = "--seconds 1 --delays 0.1 --clients 1"
    lines = output_of(sys.executable, "-m", "benchmarks.sqlserver", *options.split()).splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["list", "add", "refresh", "login"]
