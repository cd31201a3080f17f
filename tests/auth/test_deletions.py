"""An account that is deleted is gone, whole, and at once."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update

from tasks_api.clock import now
from tasks_api.database.engine import db, execute, fetch_all
from tasks_api.models import refresh_tokens, tasks, users
from tests.conftest import Person, joined, problem
from tests.live import PASSWORD


def counts(app: Flask) -> list[int]:
    """How many rows there are in each table."""
    with app.app_context():
        return [
            fetch_all(select(func.count()).select_from(table))[0][0]
            for table in (users, tasks, refresh_tokens)
        ]


def test_a_deleted_account_is_gone_with_all_that_was_its_own(
    app: Flask, anna: Person, bertil: Person
) -> None:
    for somebody in (anna, anna, bertil):
        somebody.call("POST", "/api/tasks", json={"name": "x"})
    phone = anna.other_device()
    assert anna.delete_account().status_code == 204
    assert counts(app) == [1, 1, 1]
    for device in (anna, phone):
        problem(device.call("GET", "/api/tasks"), 401, "A04")
        problem(device.call("POST", "/api/tasks", json={"name": "x"}), 401, "A04")
        problem(device.refreshed(), 400, "invalid_grant")
    problem(anna.log_in(), 401, "L02")
    assert bertil.is_in()
    before = anna.user_id
    assert anna.sign_up().status_code == 201  # the email is free again
    anna.log_in()
    assert anna.user_id > before
    assert anna.call("GET", "/api/tasks").json == []


@pytest.mark.parametrize("password", [None, "", 1, "x" * 257])
def test_a_deletion_without_a_password_is_s01(anna: Person, password: Any) -> None:
    body = problem(anna.delete_account(password), 400, "S01")
    assert list(body["errors"]) == ["currentPassword"]
    assert anna.is_in()


def test_a_deletion_with_a_wrong_password_is_p01_and_deletes_nothing(
    app: Flask, anna: Person
) -> None:
    anna.call("POST", "/api/tasks", json={"name": "x"})
    problem(anna.delete_account("wrong one"), 422, "P01")
    assert counts(app) == [1, 1, 1]


@pytest.mark.parametrize("place", range(5))
def test_a_deletion_that_fails_on_the_way_deletes_nothing(
    app: Flask, anna: Person, place: int
) -> None:
    """BEGIN, three DELETEs with an UPDATE among them: each in its turn."""
    anna.call("POST", "/api/tasks", json={"name": "x"})
    seen: list[str] = []

    def fail(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(("BEGIN", "DELETE", "UPDATE")):
            seen.append(statement)
            if len(seen) == place + 1:
                raise ZeroDivisionError

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", fail)
        problem(anna.delete_account(), 500, "internal")
        event.remove(db.engine, "before_cursor_execute", fail)
    assert len(seen) == place + 1
    assert counts(app) == [1, 1, 1]
    assert anna.delete_account().status_code == 204


def test_a_user_to_whom_another_table_refers_is_not_deleted(
    app: Flask, anna: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """In a database that others use too, where the operator has to decide."""
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE Orders (UserId int NOT NULL REFERENCES [User] (Id))"
        )
        connection.exec_driver_sql("INSERT INTO Orders (UserId) SELECT Id FROM [User]")
    try:
        problem(anna.delete_account(), 409, "in_use")
        assert anna.is_in()
        assert "could not be deleted" in caplog.text
    finally:
        with app.app_context(), db.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE Orders")


@pytest.mark.parametrize("place", ["here", "elsewhere", "ran out"])
def test_a_deletion_clears_the_cookie_of_any_of_the_users_sessions(app: Flask, place: str) -> None:
    anna = joined(app)
    in_cookie = {"email": anna.email, "password": PASSWORD, "cookie": True}
    answer = anna.client.post("/api/users/login", json=in_cookie).get_json()
    if place == "here":
        anna.access = answer["accessToken"]
    if place == "ran out":
        with app.app_context():
            execute(
                update(refresh_tokens).where(refresh_tokens.c.id == 2).values(expiry_date=now())
            )
    assert anna.client.get_cookie("tasks_refresh", path="/api/users")
    problem(anna.delete_account("wrong one"), 422, "P01")
    assert anna.client.get_cookie("tasks_refresh", path="/api/users")
    assert anna.delete_account().status_code == 204
    assert not anna.client.get_cookie("tasks_refresh", path="/api/users")


def test_a_deletion_leaves_somebody_elses_cookie_alone(app: Flask, bertil: Person) -> None:
    anna = joined(app)
    anna.client = bertil.client
    body = {"email": bertil.email, "password": PASSWORD, "cookie": True}
    bertil.client.post("/api/users/login", json=body)
    assert anna.delete_account().status_code == 204
    assert bertil.client.get_cookie("tasks_refresh", path="/api/users")
