"""Promises that only a SQL Server can keep or break. What holds on every database is tested elsewhere, there too."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.dialects import mssql
from werkzeug.test import TestResponse

from tasks_api.clock import to_smalldatetime
from tasks_api.config import ROOT, current_settings
from tasks_api.database import check, migrations, sqlserver
from tasks_api.database.engine import db, execute
from tasks_api.database.tables import metadata
from tests.conftest import MakeApp, Person, joined, problem
from tests.database.original import Original
from tests.database.relay import Relay
from tests.databases import databases, needs_server

pytestmark = needs_server


@pytest.fixture
def raw(app: Flask) -> Iterator[Any]:
    """Somebody else's connection to the database of ``app``."""
    with closing(sqlserver.connect(databases.made[databases.shared])) as connection:
        yield connection


def make_tables(collation: str) -> None:
    """As an original database has them whose texts compare otherwise."""
    made = (ROOT / "sql" / "sqlserver" / "001_tasksdb.sql").read_text()
    made = re.sub(r"(nvarchar\(\d+\))", rf"\1 COLLATE {collation}", made)
    databases.execute(databases.shared, *migrations._batches(made))


@pytest.mark.parametrize("collation", ["Latin1_General_CI_AI", "Latin1_General_100_CI_AS_SC_UTF8"])
def test_any_collation_that_ignores_case_will_do(make_app: MakeApp, collation: str) -> None:
    app = make_app(UPGRADE_ON_START="false")
    try:
        make_tables(collation)
    except Exception as error:
        if "does not exist" not in str(error):
            raise
        pytest.skip(f"this server has no such collation: {error}")
    with app.app_context():
        migrations.upgrade(db.engine, current_settings)
    anna = joined(app)
    problem(anna.sign_up(email="ANNA@EXAMPLE.COM"), 422, "S02")
    task = anna.add_task("Köp mjölk 🥛").get_json()
    assert anna.tasks() == [task]
    anna.renew()


@pytest.mark.parametrize("collation", ["Latin1_General_CS_AS", "Turkish_CI_AS"])
def test_emails_that_tell_case_apart_are_refused_and_named(
    make_app: MakeApp, collation: str
) -> None:
    make_app(UPGRADE_ON_START="false")
    make_tables(collation)
    refusal = r"User\.Email tells I from i, for its collation is \S+;"
    with (
        make_app(UPGRADE_ON_START="false").app_context(),
        pytest.raises(migrations.MigrationError, match=refusal),
    ):
        migrations.upgrade(db.engine, current_settings)


def test_a_trigger_that_is_in_the_way_is_named(make_app: MakeApp, client: FlaskClient) -> None:
    trigger = "CREATE TRIGGER AuditTask ON Task AFTER INSERT AS SELECT 1"
    databases.execute(databases.shared, trigger)
    with make_app(UPGRADE_ON_START="false").app_context():
        facts, is_usable = check.report(db.engine, current_settings)
        assert not is_usable
        assert "disable audittask" in facts["triggers"].lower()
        execute(text("DROP TABLE SchemaVersion"))  # as where the original made the tables
        with pytest.raises(migrations.MigrationError, match=r"(?i)the trigger AuditTask"):
            migrations.upgrade(db.engine, current_settings)


@pytest.mark.parametrize("name", ["日本語 Ω≈ç√ 😀 ؏", "'; DROP TABLE Task; --", "x" * 100])
def test_any_text_survives(anna: Person, name: str) -> None:
    task = anna.add_task(name).get_json()
    assert anna.call("GET", f"/api/tasks/{task['id']}").get_json()["name"] == name


def test_a_smalldatetime_is_rounded_as_the_server_does_it(raw: Any) -> None:
    start = datetime(2026, 2, 28, 23, 58, tzinfo=UTC)
    for milliseconds in (0, 29_998, 29_999, 30_000, 59_999, 89_998, 89_999):
        moment = start + timedelta(milliseconds=milliseconds)
        sent = moment.replace(tzinfo=None).isoformat(" ")
        rounded = raw.execute("SELECT CAST(CAST(? AS datetime2(3)) AS smalldatetime)", sent)
        assert rounded.fetchval().replace(tzinfo=UTC) == to_smalldatetime(moment)


def test_parameters_have_the_types_of_their_columns(make_app: MakeApp) -> None:
    """Otherwise the server would convert the column, and scan where it could seek. Seen on the wire."""
    make_app()
    keywords = databases.made[databases.shared]
    with Relay(keywords["server"]) as relay:
        way = keywords | {"server": relay.server, "encrypt": "no"}
        app = make_app(DATABASE_URL=sqlserver.connection_string(way))
        anna = joined(app)
        anna.renew()
        task = anna.add_task().get_json()["id"]
        anna.call("GET", "/api/tasks?isCompleted=true&after=1")
        anna.call("PATCH", f"/api/tasks/{task}", json={"name": "y"})
        anna.call("DELETE", f"/api/tasks/{task}")
        anna.call("DELETE", "/api/users/sessions")
    types: dict[str, str] = {}
    for table in metadata.tables.values():
        for column in table.columns:
            kind = column.type.compile(mssql.dialect()).lower()
            types[f"{table.name}.{column.name}"] = kind.replace("integer", "int")
    # Compared to the millisecond, in rows that another column has found.
    types["RefreshToken.ExpiryDate"] = "datetime2"
    compared = set()
    for piece in relay.sent:
        for said in (piece.decode("utf-16-le", "ignore"), piece[1:].decode("utf-16-le", "ignore")):
            declarations = re.findall(r"(@P\d+) ([A-Za-z]\w*(?:\(\d+\))?)", said)
            # The list of declarations comes before the statement: the first of a name counts.
            declared = {name: kind.lower() for name, kind in reversed(declarations)}
            for table_name, column_name, name in re.findall(
                r"\[(\w+)\]\.\[(\w+)\] [=>] (@P\d+)", said
            ):
                compared.add(f"{table_name}.{column_name}")
                assert declared[name] == types[f"{table_name}.{column_name}"], said
    found_by = {"User.Email", "User.Id", "RefreshToken.SessionId", "RefreshToken.UserId", "Task.Id"}
    assert compared >= found_by


def test_a_statement_is_one_round_trip_and_a_changed_schema_fails_none(make_app: MakeApp) -> None:
    make_app()
    keywords = databases.made[databases.shared]
    with Relay(keywords["server"]) as relay:
        way = keywords | {"server": relay.server, "encrypt": "no"}
        app = make_app(DATABASE_URL=sqlserver.connection_string(way), MAX_SESSIONS="2")
        anna = joined(app)
        for _ in range(2):
            anna.log_in()
        task = anna.add_task().get_json()["id"]
        requests: list[tuple[int, Callable[[], TestResponse]]] = [
            (2, lambda: anna.call("GET", "/api/tasks")),
            (2, lambda: anna.call("GET", f"/api/tasks/{task}")),
            (2, lambda: anna.add_task()),
            (2, lambda: anna.call("PATCH", f"/api/tasks/{task}", json={"name": "y"})),
            (2, lambda: anna.call("DELETE", "/api/tasks/1000000")),
            (2, lambda: anna.call("GET", "/api/users/info")),
            (2, lambda: anna.call("GET", "/api/users/sessions")),
            (2, lambda: anna.renew()),
            (2, lambda: anna.client.get("/health/ready")),
            (8, anna.log_in),
        ]
        for change in (
            "",
            "ALTER TABLE Task ADD Note nvarchar(9) NULL",
            "ALTER TABLE RefreshToken ADD Note nvarchar(9) NULL",
            "DROP INDEX IX_Task_UserId_Id ON Task; CREATE INDEX IX_Task_UserId_Id ON Task (UserId, Id)",
        ):
            databases.execute(databases.shared, *filter(None, change.split("; ")))
            for most, request in requests:
                assert request().status_code < 500  # the first after a change
                anna.is_in()  # which marks an answer as used
                relay.sent.clear()
                assert request().status_code < 500
                assert len(relay.sent) <= most


def test_the_benchmark_sends_what_the_service_sends() -> None:
    options = "--seconds 1 --delays 0.1 --clients 1"
    command = [sys.executable, "-m", "benchmarks.sqlserver", *options.split()]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    named = [line.split()[0] for line in done.stdout.splitlines()[-4:]]
    assert named == ["list", "add", "refresh", "login"]


def test_a_deadlock_ends_well(anna: Person, app: Flask, raw: Any) -> None:
    """A login locks the user, then its sessions; somebody else does it the other way round."""
    with app.app_context():
        execute(text("UPDATE RefreshToken SET ExpiryDate = '2020-01-01'"))  # a login will delete it
    raw.autocommit = False
    raw.execute("UPDATE RefreshToken SET Counter = Counter")
    with ThreadPoolExecutor(1) as pool:
        login = pool.submit(Person(app.test_client()).log_in)
        time.sleep(1)  # until the login waits for the session
        with suppress(Exception):  # either of the two is the victim
            raw.execute("UPDATE [User] SET Active = 1")
        raw.rollback()
        assert login.result(30).status_code == 200


def test_a_deletion_waits_for_a_task_that_is_being_added(anna: Person, raw: Any) -> None:
    raw.autocommit = False
    raw.execute(f"INSERT INTO Task VALUES ({anna.user_id}, N'x', 0, '2026-01-01')")
    with ThreadPoolExecutor(1) as pool:
        deletion = pool.submit(anna.delete_account)
        time.sleep(1)  # until it waits
        raw.commit()
        answer = deletion.result(30)
    if answer.status_code == 409 and databases.is_imitation():
        pytest.skip("this server locks no ranges")
    assert answer.status_code == 204
    assert not raw.execute("SELECT COUNT(*) FROM Task").fetchval()


def test_a_lock_that_is_held_too_long_is_503_and_keeps_the_connection(
    anna: Person, raw: Any
) -> None:
    task = anna.add_task().get_json()["id"]
    raw.autocommit = False
    raw.execute("UPDATE Task SET Name = Name")
    with closing(sqlserver.connect(databases.made[databases.shared])) as other:
        with pytest.raises(Exception, match=r"(?i)lock") as refusal:
            other.execute("UPDATE Task SET Name = Name")
        if sqlserver.LOCK_TIMEOUT not in sqlserver.error_numbers(refusal.value):
            pytest.skip(f"this server has another number for it: {refusal.value}")
    problem(anna.call("PATCH", f"/api/tasks/{task}", json={"name": "y"}), 503, "unavailable")
    raw.rollback()
    assert anna.call("PATCH", f"/api/tasks/{task}", json={"name": "y"}).status_code == 200


def test_users_go_back_and_forth_between_this_service_and_the_original(make_app: MakeApp) -> None:
    app = make_app(MAX_SESSIONS="1", PASSWORD_ITERATIONS="100000")
    anna, olle = joined(app), Person(app.test_client(), "olle@example.com")
    with closing(sqlserver.connect(databases.made[databases.shared])) as connection:
        original = Original(connection)

        anna.add_task("made here")
        # It reads our password and replaces our session.
        assert original.log_in(anna.email, "token one")
        assert not anna.is_in()
        assert original.accepts(anna.user_id, "token one")
        original.add_task(anna.user_id, "made there")
        assert original.tasks(anna.user_id) == ["made here", "made there"]

        anna.log_in()  # we replace its session
        assert not original.accepts(anna.user_id, "token one")
        assert len(anna.tasks()) == 2
        anna.renew()
        assert anna.is_in()
        original.log_out(anna.user_id)
        assert not anna.is_in()

        anna.log_in()
        changed = anna.change_info(email="new@example.com", currentPassword=anna.password)
        assert changed.status_code == 200
        assert not original.log_in(anna.email, "token two")
        assert original.log_in("new@example.com", "token two")
        anna.email = "new@example.com"
        anna.log_in()
        assert anna.delete_account().status_code == 204
        assert not original.log_in(anna.email, "token two")
        assert original.tasks(anna.user_id) == []

        original.sign_up(olle.email)
        assert olle.log_in().status_code == 200
        assert original.log_in(olle.email, "token three")
        assert original.accepts(olle.user_id, "token three")
