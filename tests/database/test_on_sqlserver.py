"""Promises that only a SQL Server can keep or break. What holds on every database is tested elsewhere, there too."""

import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.dialects import mssql

from tasks_api.clock import to_smalldatetime
from tasks_api.config import ROOT
from tasks_api.config.database_url import read_database_url
from tasks_api.database import migrations, sqlserver
from tasks_api.database.engine import db, execute
from tasks_api.models import metadata
from tests.conftest import MakeApp, Person
from tests.database.original import Original
from tests.database.relay import Relay
from tests.databases import TABLES, databases, needs_server
from tests.live import code_block, flask

pytestmark = needs_server
PAGE = "docs/sql-server.md"


@pytest.fixture
def raw(app: Flask) -> Iterator[Any]:
    """Somebody else's connection to the database of ``app``."""
    with closing(sqlserver.connect(databases.urls[databases.shared])) as connection:
        yield connection


# --- the operator's commands -----------------------------------------------------------------------------


def test_check_says_how_the_database_is(tmp_path: Path) -> None:
    code, said = flask(tmp_path, "db", "check")
    assert code == 1
    assert (
        "not current (001_tasksdb.sql, 002_sessions.sql): run 'flask --app tasks_api db upgrade'"
        in said
    )
    assert flask(tmp_path, "db", "upgrade")[0] == 0
    code, said = flask(tmp_path, "db", "check")
    assert code == 0, said
    assert [line.split()[0] for line in said.splitlines()] == [
        "driver",
        "server",
        "database",
        "encryption",
        "latency",
        "schema",
    ]
    assert re.search(r"driver +\S*msodbcsql\S* \d", said)
    assert "schema      current" in said
    url = read_database_url(databases.server)
    assert str(url.password) not in said


def changed(**changes: Any) -> str:
    url = read_database_url(databases.server).set(**changes)
    return url.render_as_string(hide_password=False)


def test_check_explains_a_refused_login_without_its_password(tmp_path: Path) -> None:
    code, said = flask(tmp_path, "db", "check", DATABASE_URL=changed(password="not-the-password"))
    assert (code, said.count("\n")) == (1, 1)
    assert "check user and password" in said
    assert "not-the-password" not in said


def test_check_explains_a_missing_database(tmp_path: Path) -> None:
    code, said = flask(tmp_path, "db", "check", DATABASE_URL=changed(database="NowhereDb"))
    assert code == 1
    assert "db create" in said


def test_check_explains_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    url = read_database_url(databases.server)
    query = {name: value for name, value in url.query.items() if name != "trustservercertificate"}
    code, said = flask(tmp_path, "db", "check", DATABASE_URL=changed(query=query))
    if code == 0:
        pytest.skip("this server's certificate is trusted")
    assert "TrustServerCertificate=yes" in said
    assert "read and change everything" in said


def test_create_is_harmless_when_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        code, said = flask(tmp_path, "db", "create")
        assert code == 0, said
        assert "is there" in said


def test_any_name_makes_a_database_and_nothing_else() -> None:
    name = "Tasks'Test ö"
    url = read_database_url(changed(database=name))
    migrations.create(url)
    with closing(sqlserver.connect(url.set(database="master"))) as connection:
        connection.execute(f"DROP DATABASE [{name}]")


def test_the_scripts_run_by_hand_leave_the_same_database(tmp_path: Path) -> None:
    databases.settings(tmp_path)
    for _ in range(2):
        with closing(sqlserver.connect(databases.urls[tmp_path])) as connection:
            connection.execute("SET QUOTED_IDENTIFIER OFF")  # as sqlcmd begins
            for name in ("001_tasksdb.sql", "002_sessions.sql"):
                for batch in migrations._batches((ROOT / "sql" / "sqlserver" / name).read_text()):
                    cursor = connection.execute(batch)
                    while cursor.nextset():
                        pass
    assert "schema      current" in flask(tmp_path, "db", "check")[1]


def test_the_readmes_login_has_what_the_service_needs_and_no_more(tmp_path: Path) -> None:
    script = code_block(PAGE, "## Least privilege", "sql")
    login = f"tasks_test_{uuid.uuid4().hex[:8]}"
    assert flask(tmp_path, "db", "upgrade")[0] == 0
    url = databases.urls[tmp_path]
    script = script.replace("tasks_service", login).replace("TasksDb", str(url.database))
    password = script.split("PASSWORD = N'")[1].split("'")[0]
    with closing(sqlserver.connect(url)) as connection:
        try:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
            service = url.set(username=login, password=password).render_as_string(
                hide_password=False
            )
            code, said = flask(tmp_path, "db", "check", DATABASE_URL=service)
            assert code == 0, said
            connection.execute(f"REVOKE DELETE ON Task TO {login}")
            code, said = flask(tmp_path, "db", "check", DATABASE_URL=service)
            assert code == 1
            assert "missing: DELETE on Task" in said
            with closing(sqlserver.connect(read_database_url(service))) as limited:
                for forbidden in (
                    "CREATE TABLE X (Id int)",
                    "DROP TABLE Task",
                    "DELETE FROM SchemaVersion",
                ):
                    with pytest.raises(Exception, match=r"(?i)permission|must be owner"):
                        limited.execute(forbidden)
        finally:
            for thing in (
                *(f"TABLE {table}" for table in TABLES),
                f"USER {login}",
                f"LOGIN {login}",
            ):
                connection.execute(f"DROP {thing}")


def test_the_readmes_way_to_a_server_that_exists(tmp_path: Path) -> None:
    commands = code_block(PAGE, "## On a server that exists").splitlines()
    addresses = [line for line in commands if line.startswith("export TASKS_DATABASE_URL")]
    assert len(addresses) == 2
    databases.settings(tmp_path)
    url = databases.urls[tmp_path].render_as_string(hide_password=False)
    script = "\n".join(line for line in commands if not line.startswith(("make", *addresses)))
    script = script.replace(".venv/bin/flask", f"{sys.executable} -m flask")
    done = subprocess.run(
        [
            "bash",
            "-euc",
            f"export TASKS_DATABASE_URL='{url}'\n{script}\n{sys.executable} -m flask --app tasks_api db check",
        ],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("TASKS_")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Applied 002_sessions.sql" in done.stdout
    assert "schema      current" in done.stdout


def test_a_backup_can_be_restored(tmp_path: Path) -> None:
    assert flask(tmp_path, "db", "upgrade")[0] == 0
    assert flask(tmp_path, "db", "seed")[0] == 0
    url = databases.urls[tmp_path]
    backup, restore = (
        code_block(PAGE, "## Backup", "sql")
        .replace("TasksDb", str(url.database))
        .strip()
        .splitlines()
    )
    with closing(sqlserver.connect(url.set(database="master"), query_seconds=60)) as connection:
        for statement in (backup, f"DELETE FROM {url.database}.dbo.Task", restore):
            try:
                cursor = connection.execute(statement)
                while cursor.nextset():
                    pass
            except Exception as error:
                if "not currently supported" in str(error):
                    pytest.skip(f"this server has no backups: {error}")
                raise
    with closing(sqlserver.connect(url)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM Task").fetchval() == 5


def test_emails_that_tell_case_apart_are_refused_and_named(make_app: MakeApp) -> None:
    app = make_app(UPGRADE_ON_START="false")
    made = (ROOT / "sql" / "sqlserver" / "001_tasksdb.sql").read_text()
    made = made.replace("Email nvarchar(50)", "Email nvarchar(50) COLLATE Latin1_General_CS_AS")
    databases.execute(databases.shared, *migrations._batches(made))
    with (
        app.app_context(),
        pytest.raises(migrations.MigrationError, match=r"User\.Email tells upper from lower"),
    ):
        migrations.upgrade(db.engine, app.extensions["settings"])


# --- types and text --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["Åsa Ö", "日本語の仕事", "😀 done?", "Ω≈ç√", "'; DROP TABLE Task; --", "x" * 100, "؏ RTL"],
)
def test_any_text_survives(anna: Person, name: str) -> None:
    answer = anna.call("POST", "/api/tasks", json={"name": name})
    assert answer.status_code == 201
    assert anna.call("GET", f"/api/tasks/{answer.get_json()['id']}").get_json()["name"] == name


def test_a_smalldatetime_is_rounded_as_the_server_does_it(raw: Any) -> None:
    start = datetime(2026, 2, 28, 23, 58, tzinfo=UTC)
    for milliseconds in (
        0,
        1,
        29_997,
        29_998,
        29_999,
        30_000,
        59_999,
        60_000,
        89_998,
        89_999,
        119_999,
    ):
        moment = start + timedelta(milliseconds=milliseconds)
        sent = moment.replace(tzinfo=None).isoformat(" ")
        rounded = raw.execute(
            "SELECT CAST(CAST(? AS datetime2(3)) AS smalldatetime)", sent
        ).fetchval()
        assert rounded.replace(tzinfo=UTC) == to_smalldatetime(moment)


def test_parameters_have_the_types_of_their_columns(make_app: MakeApp) -> None:
    """Otherwise the server would convert the column, and scan where it could seek. Seen on the wire."""
    make_app()
    url = databases.urls[databases.shared]
    with Relay(url.host or "", url.port or 1433) as relay:
        url = url.set(host="127.0.0.1", port=relay.port).update_query_dict({"encrypt": "no"})
        anna = Person(
            make_app(DATABASE_URL=url.render_as_string(hide_password=False)).test_client()
        )
        anna.sign_up()
        anna.log_in()
        anna.keep(anna.refreshed())
        task = anna.call("POST", "/api/tasks", json={"name": "x"}).get_json()["id"]
        anna.call("GET", "/api/tasks?isCompleted=true&after=1")
        anna.call("PATCH", f"/api/tasks/{task}", json={"name": "y"})
        anna.call("DELETE", f"/api/tasks/{task}")
        anna.call("DELETE", "/api/users/sessions")
    tables = {
        table.name: {column.name: column for column in table.columns}
        for table in metadata.tables.values()
    }
    compared = set()
    for piece in relay.sent:
        for said in (piece.decode("utf-16-le", "ignore"), piece[1:].decode("utf-16-le", "ignore")):
            declared: dict[str, str] = {}
            for name, kind in re.findall(r"(@P\d+) ([A-Za-z]\w*(?:\(\d+\))?)", said):
                declared.setdefault(
                    name, kind.lower()
                )  # the list of declarations comes before the statement
            for table, column, name in re.findall(r"\[(\w+)\]\.\[(\w+)\] [=>] (@P\d+)", said):
                compared.add(f"{table}.{column}")
                if (
                    column != "ExpiryDate"
                ):  # compared to the millisecond, in rows that another column has found
                    kind = (
                        tables[table][column]
                        .type.compile(mssql.dialect())
                        .lower()
                        .replace("integer", "int")
                    )
                    assert declared[name] == kind, said
    assert compared >= {
        "User.Email",
        "User.Id",
        "RefreshToken.SessionId",
        "RefreshToken.UserId",
        "Task.Id",
    }


def test_the_benchmark_sends_what_the_service_sends() -> None:
    command = [sys.executable, "-m", "benchmarks.sqlserver", "0.4"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[-4:]] == [
        "list",
        "add",
        "refresh",
        "login",
    ]


# --- concurrency -----------------------------------------------------------------------------------------


def test_a_deadlock_ends_well(anna: Person, app: Flask, raw: Any) -> None:
    """A login locks the user, then its sessions; somebody else does it the other way round."""
    with app.app_context():
        execute(text("UPDATE RefreshToken SET ExpiryDate = '2020-01-01'"))  # a login will delete it
    raw.autocommit = False
    raw.execute("UPDATE RefreshToken SET Counter = Counter")
    statuses: list[int] = []
    login = threading.Thread(
        target=lambda: statuses.append(Person(app.test_client()).log_in().status_code)
    )
    login.start()
    time.sleep(1)  # until the login waits for the session
    with suppress(Exception):  # either of the two is the victim
        raw.execute("UPDATE [User] SET Active = 1")
    raw.rollback()
    login.join(30)
    assert statuses == [200]


def test_a_lock_that_is_held_too_long_is_503_and_keeps_the_connection(
    anna: Person, raw: Any
) -> None:
    task = anna.call("POST", "/api/tasks", json={"name": "x"}).get_json()["id"]
    raw.autocommit = False
    raw.execute("UPDATE Task SET Name = Name")
    with closing(sqlserver.connect(databases.urls[databases.shared])) as other:
        with pytest.raises(Exception, match=r"(?i)lock") as refusal:
            other.execute("UPDATE Task SET Name = Name")
        if sqlserver.LOCK_TIMEOUT not in sqlserver.error_numbers(refusal.value):
            pytest.skip(f"this server has another number for it: {refusal.value}")
    answer = anna.call("PATCH", f"/api/tasks/{task}", json={"name": "y"})
    assert (answer.status_code, answer.get_json()["errorCode"]) == (503, "unavailable")
    raw.rollback()
    assert anna.call("PATCH", f"/api/tasks/{task}", json={"name": "y"}).status_code == 200


# --- beside the .NET original ----------------------------------------------------------------------------


def test_users_go_back_and_forth_between_this_service_and_the_original(make_app: MakeApp) -> None:
    app = make_app(MAX_SESSIONS="1", PASSWORD_ITERATIONS="100000")
    anna, olle = Person(app.test_client()), Person(app.test_client(), "olle@example.com")
    with closing(sqlserver.connect(databases.urls[databases.shared])) as connection:
        original = Original(connection)

        assert anna.sign_up().status_code == 201
        anna.log_in()
        anna.call("POST", "/api/tasks", json={"name": "made here"})
        assert original.log_in(
            anna.email, "token one"
        )  # it reads our password and replaces our session
        assert not anna.is_in()
        assert original.accepts(anna.user_id, "token one")
        original.add_task(anna.user_id, "made there")
        assert original.tasks(anna.user_id) == ["made here", "made there"]

        anna.log_in()  # we replace its session
        assert not original.accepts(anna.user_id, "token one")
        assert [task["name"] for task in anna.call("GET", "/api/tasks").get_json()] == [
            "made here",
            "made there",
        ]
        anna.keep(anna.refreshed())
        assert anna.is_in()
        original.log_out(anna.user_id)
        assert not anna.is_in()

        original.sign_up(olle.email)
        assert olle.log_in().status_code == 200
        assert original.log_in(olle.email, "token two")
        assert original.accepts(olle.user_id, "token two")
