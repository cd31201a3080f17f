"""What crosses the network to a SQL Server, and what happens when it breaks. A relay stands between the two."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import requests
from sqlalchemy.dialects import mssql
from werkzeug.test import TestResponse

from tasks_api.database.tables import metadata
from tests.conftest import MakeApp, Person, joined, watch
from tests.database.relay import Relay, server_of
from tests.databases import databases, needs_server
from tests.live import new_user, serving, wait_for, working

pytestmark = needs_server


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay(server_of(databases.on("master"))) as relay:
        yield relay


@pytest.fixture
def anna(make_app: MakeApp, relay: Relay) -> Person:
    """Uses an app whose statements ``relay`` sees."""
    make_app()  # which makes the tables
    address = "Encrypt=no;" + relay.through(databases.made[databases.shared])
    return joined(make_app(DATABASE_URL=address, MAX_SESSIONS="2"))


def requests_of(person: Person) -> list[Callable[[], TestResponse]]:
    task = person.add_task().get_json()["id"]
    return [
        lambda: person.call("GET", "/api/tasks?isCompleted=false&after=0"),
        lambda: person.call("GET", f"/api/tasks/{task}"),
        lambda: person.add_task(),
        lambda: person.call("PATCH", f"/api/tasks/{task}", json={"name": "y"}),
        lambda: person.call("DELETE", "/api/tasks/1000000"),
        lambda: person.call("GET", "/api/users/info"),
        lambda: person.call("GET", "/api/users/sessions"),
        lambda: person.renew(),
        lambda: person.client.get("/health/ready"),
        person.log_in,
    ]


def test_parameters_have_the_types_of_their_columns(anna: Person, relay: Relay) -> None:
    """With another type the server would convert the column, and scan where it could seek."""
    for request in requests_of(anna):
        assert request().status_code < 500
    types: dict[str, str] = {}
    for table in metadata.tables.values():
        for column in table.columns:
            kind = column.type.compile(mssql.dialect()).lower()
            types[f"{table.name}.{column.name}"] = kind.replace("integer", "int")
    # pyodbc has one type for times. The rows are found by another column.
    types["RefreshToken.ExpiryDate"] = "datetime2"
    compared = set()
    for piece in relay.sent:
        sent = piece.replace(b"\0", b"").decode("ascii", "replace")  # was UTF-16
        declarations = re.findall(r"(@P\d+) ([A-Za-z]\w*(?:\(\d+\))?)", sent)
        # The declarations come before the statement, so the first of a name counts.
        declared = {name: kind.lower() for name, kind in reversed(declarations)}
        for table_name, column_name, name in re.findall(
            r"\[(\w+)\]\.\[(\w+)\] [=>] (@P\d+)", sent
        ):
            compared.add(f"{table_name}.{column_name}")
            assert declared[name] == types[f"{table_name}.{column_name}"], sent
    found_by = {
        "User.Email",
        "User.Id",
        "RefreshToken.SessionId",
        "RefreshToken.UserId",
        "Task.Id",
    }
    assert compared >= found_by


def test_a_statement_is_one_round_trip_and_a_changed_schema_fails_none(
    anna: Person, relay: Relay
) -> None:
    statements: list[str] = []
    watch(anna.client.application, statements.append)
    requests = requests_of(anna)
    for change in (
        "SELECT 1",
        "ALTER TABLE Task ADD Note int",
        "ALTER TABLE [User] ADD Note int",
    ):
        databases.execute(databases.shared, change)
        for request in requests * 2:
            assert request().status_code < 500
        for request in requests:
            statements.clear()
            relay.sent.clear()
            assert request().status_code < 500
            assert 0 < len(relay.sent) <= len(statements)


def test_connections_that_broke_in_the_pool_fail_no_request(anna: Person, relay: Relay) -> None:
    for request in requests_of(anna):
        relay.break_connections()
        assert request().status_code < 500


@pytest.mark.parametrize("outage", [Relay.cut, Relay.stall])
def test_an_outage_under_load_is_503_and_ends_no_session(
    tmp_path: Path, relay: Relay, outage: Callable[[Relay], None]
) -> None:
    databases.settings(tmp_path)
    address = relay.through(databases.made[tmp_path])
    devices: Queue[dict[str, Any]] = Queue()
    with serving(tmp_path, workers=2, DATABASE_URL=address) as live:
        for number in range(8):
            devices.put(new_user(live, f"person{number}@example.com"))

        def refresh() -> requests.Response:
            tokens = devices.get()
            answer = live.refresh(tokens)
            devices.put(answer.json() if answer.ok else tokens)
            return answer

        with working(8, refresh) as answers:
            wait_for(lambda: answers[200] > 100)
            outage(relay)
            wait_for(lambda: answers[503] > 20)
            assert answers.keys() == {200, 503}
            assert live.get("/health/ready").status_code == 503
            assert live.get("/health/live").status_code == 200
            relay.mend()

            def is_well() -> bool:
                answers.clear()
                wait_for(lambda: answers[200] > 100)
                return answers.keys() == {200}

            wait_for(is_well)
