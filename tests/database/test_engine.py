"""Transactions, retries, and what the service answers when a statement fails."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, CursorResult, event, insert, select, text
from sqlalchemy.exc import DBAPIError
from werkzeug.test import TestResponse

from tasks_api.clock import now
from tasks_api.database.engine import RETRY_PAUSES, db, execute, fetch_all, transaction
from tasks_api.database.tables import session_table, task_table
from tasks_api.errors import T01, ApiError
from tests.conftest import MakeApp, Person, joined, problem, stored, watch
from tests.database.conftest import FakeTime, failure
from tests.databases import databases

DEADLOCK = failure("Transaction (Process ID 52) was deadlocked on lock resources", 1205, "40001")
LOST = failure("TCP Provider: Error code 0x2746", 10054, "08S01")

Act = Callable[[Person], TestResponse]


def fail(app: Flask, start: str, error: Exception, times: int = 1) -> list[str]:
    """Let statements fail as on SQL Server, some times. Return a list of those that are tried."""
    tried: list[str] = []

    def refuse(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith(start):
            tried.append(statement)
            if len(tried) <= times:
                if error is LOST:
                    connection.invalidate()
                raise DBAPIError("", {}, error, connection_invalidated=error is LOST)

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", refuse)
    return tried


def list_tasks(person: Person) -> TestResponse:
    return person.call("GET", "/api/tasks")


def test_a_transaction_that_is_refused_is_rolled_back_and_keeps_its_connection(
    app: Flask, anna: Person
) -> None:
    @transaction
    def add_and_refuse() -> None:
        values = {"user_id": anna.user_id, "name": "x", "is_completed": False, "ts": now()}
        execute(insert(task_table).values(values))
        raise ApiError(T01)

    opened: list[object] = []
    with app.app_context():
        event.listen(db.engine, "connect", lambda *args: opened.append(args))
        with pytest.raises(ApiError):
            add_and_refuse()
        assert fetch_all(select(task_table)) == []
    assert not opened


@pytest.mark.parametrize("error", [DEADLOCK, LOST])
def test_a_transaction_is_retried_from_its_beginning(
    app: Flask, anna: Person, error: Exception
) -> None:
    first, last = fail(app, "UPDATE", error, times=0), fail(app, "INSERT", error)
    assert anna.log_in().status_code == 200
    assert (len(first), len(last)) == (2, 2)
    assert len(anna.sessions()) == 2


@pytest.mark.parametrize(
    ("act", "start", "error", "tries"),
    [
        (list_tasks, "SELECT", DEADLOCK, 2),
        (list_tasks, "SELECT", LOST, 2),
        (Person.add_task, "INSERT", DEADLOCK, 2),
        (Person.add_task, "INSERT", LOST, 1),
        (Person.log_in, "COMMIT", LOST, 1),
    ],
)
def test_a_statement_is_retried_unless_it_may_have_been_committed(
    app: Flask, anna: Person, act: Act, start: str, error: Exception, tries: int
) -> None:
    tried = fail(app, start, error)
    answer = act(anna)
    if tries == 1:
        problem(answer, 503, "unavailable")
    else:
        assert answer.status_code < 300
    assert tried.count(tried[0]) == tries


def test_a_read_that_fails_at_its_rows_is_retried(
    anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    take: Any = CursorResult.all

    def refuse_once(result: CursorResult[Any]) -> Any:
        tried.append(result)
        rows = take(result)  # or the driver would have results left over
        if len(tried) == 1:
            raise DBAPIError("SELECT", {}, DEADLOCK)
        return rows

    monkeypatch.setattr(CursorResult, "all", refuse_once)
    assert list_tasks(anna).status_code == 200
    assert len(tried) == 3  # the session, the session again, the tasks


@pytest.mark.parametrize(
    ("error", "seconds", "tries"),
    [(DEADLOCK, 5, len(RETRY_PAUSES) + 1), (LOST, 0, len(RETRY_PAUSES) + 1), (LOST, 5, 1)],
)
def test_retries_are_few_and_none_follows_a_connection_that_was_lost_late(
    app: Flask, anna: Person, fake_time: FakeTime, error: Exception, seconds: int, tries: int
) -> None:
    """SQL Server can take five seconds to find a deadlock."""
    watch(app, lambda _statement: fake_time.sleep(seconds))
    tried = fail(app, "SELECT", error, times=100)
    assert list_tasks(anna).status_code >= 500
    assert len(tried) == tries


@pytest.mark.parametrize("start", ["BEGIN", "INSERT", "COMMIT"])
def test_a_transaction_that_fails_leaves_no_connection_in_use(
    make_app: MakeApp, start: str
) -> None:
    app = make_app(THREADS="1")
    anna = joined(app)
    for _ in range(2):
        fail(app, start, LOST, times=3)
        problem(anna.log_in(), 503, "unavailable")
    assert list_tasks(anna).status_code == 200


@pytest.mark.parametrize("sql", ["SELECT Nmae FROM Task", "this is no SQL"])
def test_a_statement_that_the_database_does_not_understand_is_500(app: Flask, sql: str) -> None:
    @app.get("/typo")
    def typo() -> list[Any]:
        return list(fetch_all(text(sql)))

    problem(app.test_client().get("/typo"), 500, "internal")


def test_a_write_that_would_wait_for_a_lock_is_left_to_a_later_request(
    app: Flask, anna: Person, other_program: Any
) -> None:
    anna.renew()
    other_program.execute("BEGIN TRANSACTION")
    other_program.execute("UPDATE RefreshToken SET Counter = Counter")
    began = time.monotonic()
    assert list_tasks(anna).status_code == 200
    assert time.monotonic() - began < 1 or databases.is_imitation()  # which has no NOWAIT
    other_program.execute("ROLLBACK")
    for used in (0, 1):
        assert stored(app, session_table)[0].used_counter == used
        assert list_tasks(anna).status_code == 200


def test_a_connection_that_breaks_while_a_use_is_written_fails_no_request(
    app: Flask, anna: Person
) -> None:
    anna.renew()
    fail(app, "UPDATE", LOST)
    assert list_tasks(anna).status_code == 200


def test_errors_that_are_logged_have_no_values(app: Flask) -> None:
    with app.app_context(), pytest.raises(DBAPIError, match="hidden") as refusal:
        fetch_all(text("SELECT nothing FROM Nowhere WHERE Name = :name"), {"name": "a secret"})
    assert "a secret" not in str(refusal.value)
