"""What is repeated, what is not, and which failures are the database's."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import CursorResult, text
from sqlalchemy.exc import DBAPIError

from tasks_api.database import sqlserver
from tasks_api.database.engine import PAUSES, fetch_one
from tests.conftest import Person, problem, watch
from tests.database.fake_pyodbc import MICROSOFT, Error, failure

DEADLOCK = failure("Transaction (Process ID 52) was deadlocked on lock resources", 1205, "40001")
LOST = Error("08S01", f"[08S01] {MICROSOFT}TCP Provider: Error code 0x2746 (10054)")
TIMED_OUT = Error("HYT00", f"[HYT00] {MICROSOFT}Query timeout expired (0) (SQLExecDirectW)")

Fail = Callable[..., list[str]]


@pytest.fixture
def fail(app: Flask) -> Fail:
    """Have statements fail as on a server, some times; returns those that were tried."""

    def begin(start: str, error: Error, times: int = 1) -> list[str]:
        tried: list[str] = []

        def refuse(statement: str) -> None:
            if statement.startswith(start):
                tried.append(statement)
                if len(tried) <= times:
                    broken = error in (LOST, TIMED_OUT)
                    raise DBAPIError("", {}, error, connection_invalidated=broken)

        watch(app, refuse)
        return tried

    return begin


@pytest.mark.parametrize("error", [DEADLOCK, LOST])
def test_a_transaction_is_repeated_from_its_beginning(
    anna: Person, fail: Fail, error: Error
) -> None:
    first, last = fail("UPDATE", error, times=0), fail("INSERT", error)
    assert anna.log_in().status_code == 200
    assert (len(first), len(last)) == (2, 2)
    assert len(anna.sessions()) == 2


@pytest.mark.parametrize("error", [DEADLOCK, LOST])
def test_a_read_is_repeated(anna: Person, fail: Fail, error: Error) -> None:
    tried = fail("SELECT", error)
    assert anna.call("GET", "/api/tasks").status_code == 200
    assert tried[0] == tried[1]


def test_a_read_that_fails_at_its_rows_is_repeated(
    anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []
    take: Any = CursorResult.all

    def refuse_once(result: CursorResult[Any]) -> Any:
        tried.append(result)
        if len(tried) == 1:
            raise DBAPIError("SELECT", {}, DEADLOCK)
        return take(result)

    monkeypatch.setattr(CursorResult, "all", refuse_once)
    assert anna.call("GET", "/api/tasks").status_code == 200
    assert len(tried) == 2


def test_a_write_that_was_rolled_back_is_repeated(anna: Person, fail: Fail) -> None:
    tried = fail("INSERT", DEADLOCK)
    assert anna.add_task().status_code == 201
    assert len(tried) == 2
    assert len(anna.tasks()) == 1


def test_a_write_that_may_have_happened_is_not_repeated(anna: Person, fail: Fail) -> None:
    tried = fail("INSERT", LOST)
    problem(anna.add_task(), 503, "unavailable")
    assert len(tried) == 1


def test_a_commit_whose_answer_is_lost_is_not_repeated(anna: Person, fail: Fail) -> None:
    inserts, commits = fail("INSERT", LOST, times=0), fail("COMMIT", LOST)
    problem(anna.log_in(), 503, "unavailable")
    assert (len(inserts), len(commits)) == (1, 1)
    assert anna.log_in().status_code == 200


@pytest.mark.parametrize("start", ["BEGIN", "INSERT", "COMMIT"])
def test_a_transaction_that_fails_leaves_the_pool_whole(
    app: Flask, anna: Person, fail: Fail, start: str
) -> None:
    for _ in range(app.extensions["settings"].threads + 1):
        fail(start, LOST, times=3)
        assert anna.log_in().status_code == 503
    assert anna.call("GET", "/api/tasks").status_code == 200


@pytest.mark.parametrize(("error", "times"), [(DEADLOCK, len(PAUSES) + 1), (TIMED_OUT, 1)])
def test_repetitions_are_bounded_and_none_follows_a_long_wait(
    anna: Person, fail: Fail, error: Error, times: int
) -> None:
    tried = fail("SELECT", error, times=100)
    problem(anna.call("GET", "/api/tasks"), 503, "unavailable")
    assert len(tried) == times


@pytest.mark.parametrize("number", [4060, 40613, 1205, 1222, 208])
def test_what_is_the_databases_is_503(anna: Person, fail: Fail, number: int) -> None:
    fail("SELECT", failure("Something (1) is wrong.", number), times=100)
    problem(anna.call("GET", "/api/tasks"), 503, "unavailable")


def test_what_is_our_statements_is_500(anna: Person, fail: Fail) -> None:
    fail("SELECT", failure("Incorrect syntax near 'TAKS'.", 102))
    problem(anna.call("GET", "/api/tasks"), 500, "internal")


def test_errors_that_are_logged_have_no_values(app: Flask) -> None:
    with app.app_context(), pytest.raises(Exception, match="hidden") as refusal:
        fetch_one(text("SELECT nothing FROM Nowhere WHERE Name = :name"), {"name": "a secret"})
    assert "a secret" not in str(refusal.value)


def test_the_numbers_of_an_error_are_the_servers() -> None:
    one = f"[01000] {MICROSOFT}[SQL Server]One (7). (50002) (SQLExecDirectW)"
    both = Error("01000", f"{one}; [42000] {MICROSOFT}Two (1205)")
    assert sqlserver.error_numbers(both) == {50002, 1205}
    assert sqlserver.message(both) == "One (7).; Two (1205)"
