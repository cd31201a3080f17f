"""An account that is deleted is gone, whole, and at once."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import text

from tasks_api.clock import now
from tasks_api.database.engine import execute
from tasks_api.database.tables import SESSION, session_table, task_table, user_table
from tests.conftest import Person, invalid_grant, problem, stored, watch, write


def counts(app: Flask) -> list[int]:
    """How many rows there are in each table."""
    return [len(stored(app, table)) for table in (user_table, task_table, session_table)]


def test_a_deleted_account_is_gone_with_all_that_was_its_own(
    app: Flask, anna: Person, bertil: Person
) -> None:
    for somebody in (anna, anna, bertil):
        somebody.add_task()
    phone = anna.other_device()
    assert anna.delete_account().status_code == 204
    assert counts(app) == [1, 1, 1]
    for device in (anna, phone):
        assert not device.is_in()
        problem(device.add_task(), 401, "A04")
        invalid_grant(device.refreshed())
    problem(anna.log_in(), 401, "L02")
    assert bertil.is_in()
    before = anna.user_id
    assert anna.sign_up().status_code == 201  # the email is free again
    anna.log_in()
    assert anna.user_id > before
    assert anna.tasks() == []


def test_a_deletion_without_a_password_is_s01(anna: Person) -> None:
    body = problem(anna.delete_account(None), 400, "S01")
    assert list(body["errors"]) == ["currentPassword"]
    assert anna.is_in()


def test_a_deletion_with_a_wrong_password_is_p01_and_deletes_nothing(
    app: Flask, anna: Person
) -> None:
    anna.add_task()
    problem(anna.delete_account("wrong one"), 422, "P01")
    assert counts(app) == [1, 1, 1]


@pytest.mark.parametrize("place", range(5))
def test_a_deletion_that_fails_on_the_way_deletes_nothing(
    app: Flask, anna: Person, place: int
) -> None:
    """BEGIN, three DELETEs with an UPDATE among them: each in its turn."""
    anna.add_task()
    seen: list[str] = []

    def fail(statement: str) -> None:
        if statement.startswith(("BEGIN", "DELETE", "UPDATE")):
            seen.append(statement)
            if len(seen) == place + 1:
                raise ZeroDivisionError

    watch(app, fail)
    problem(anna.delete_account(), 500, "internal")
    assert len(seen) == place + 1
    assert counts(app) == [1, 1, 1]
    assert anna.delete_account().status_code == 204


def test_a_user_to_whom_another_table_refers_is_not_deleted(
    app: Flask, anna: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """In a database that others use too, where the operator has to decide."""
    with app.app_context():
        execute(text("CREATE TABLE Orders (UserId int NOT NULL REFERENCES [User] (Id))"))
        execute(text("INSERT INTO Orders (UserId) SELECT Id FROM [User]"))
    try:
        problem(anna.delete_account(), 409, "in_use")
        assert anna.is_in()
        assert "could not be deleted" in caplog.text
    finally:
        with app.app_context():
            execute(text("DROP TABLE Orders"))


def has_cookie(somebody: Person) -> bool:
    return somebody.client.get_cookie("tasks_refresh", path="/api/users") is not None


@pytest.mark.parametrize("place", ["here", "elsewhere", "ran out"])
def test_a_deletion_clears_the_cookie_of_any_of_the_users_sessions(
    app: Flask, anna: Person, place: str
) -> None:
    device = anna if place == "here" else replace(anna)
    device.log_in(cookie=True)
    if place == "ran out":
        write(app, session_table, SESSION.id == 2, expiry_date=now())
    problem(anna.delete_account("wrong one"), 422, "P01")
    assert has_cookie(anna)
    assert anna.delete_account().status_code == 204
    assert not has_cookie(anna)


def test_a_deletion_leaves_somebody_elses_cookie_alone(anna: Person, bertil: Person) -> None:
    bertil.log_in(cookie=True)
    anna.client = bertil.client
    assert anna.delete_account().status_code == 204
    assert has_cookie(bertil)
