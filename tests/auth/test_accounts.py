"""An account after its signup: changed, deleted, and what is stored about it."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update
from werkzeug.test import TestResponse

from tasks_api.auth import accounts
from tasks_api.auth.passwords import Hasher
from tasks_api.auth.users import details
from tasks_api.clock import now
from tasks_api.database.engine import db, execute, fetch_all
from tasks_api.models import refresh_tokens, tasks, users
from tests.conftest import MakeApp, Person, joined, problem
from tests.live import PASSWORD


def change(somebody: Person, **members: Any) -> TestResponse:
    return somebody.call("PATCH", "/api/users/info", json=members)


def remove(somebody: Person, password: Any = PASSWORD) -> TestResponse:
    return somebody.call("POST", "/api/users/delete", json={"currentPassword": password})


def counts(app: Flask) -> list[int]:
    """How many rows there are in each table."""
    with app.app_context():
        return [
            fetch_all(select(func.count()).select_from(table))[0][0]
            for table in (users, tasks, refresh_tokens)
        ]


def test_names_are_changed_and_the_rest_stays(anna: Person) -> None:
    before = anna.call("GET", "/api/users/info").get_json()
    answer = change(anna, FirstName=" Anne ", userId=77, creationDate="2000-01-01")
    assert (answer.status_code, answer.json) == (200, before | {"firstName": "Anne"})
    assert change(anna, lastName="Å").get_json() == before | {"firstName": "Anne", "lastName": "Å"}
    after = anna.call("GET", "/api/users/info").get_json()
    assert change(anna).get_json() == after
    assert after["firstName"] == "Anne"


def test_a_new_email_needs_the_password_and_ends_no_session(anna: Person) -> None:
    phone = anna.other_device()
    body = problem(change(anna, email="new@example.com", firstName="x"), 400, "S01")
    assert body["errors"] == {"currentPassword": ["is missing"]}
    refused = change(anna, email="new@example.com", firstName="x", currentPassword="wrong one")
    problem(refused, 422, "P01")
    assert anna.call("GET", "/api/users/info").get_json()["firstName"] == "Anna"
    changed = change(anna, email=" new@example.com\t", currentPassword=PASSWORD)
    assert (changed.status_code, changed.get_json()["email"]) == (200, "new@example.com")
    assert anna.is_in()
    assert phone.refreshed().status_code == 200
    problem(anna.log_in(), 401, "L02")
    anna.email = "New@Example.com"
    assert anna.log_in().status_code == 200


def test_ones_own_email_in_another_case_is_no_new_one(anna: Person) -> None:
    answer = change(anna, email="ANNA@example.com", currentPassword="not looked at")
    assert (answer.status_code, answer.get_json()["email"]) == (200, "ANNA@example.com")


@pytest.mark.parametrize(
    "email", ["admin", " Bo@example.com", "straße@example.com", "\u212aim@example.com"]
)
def test_the_email_of_an_original_user_may_be_sent_back_whatever_its_form(
    app: Flask, anna: Person, email: str
) -> None:
    with app.app_context():
        execute(update(users).values(email=email))
    assert change(anna, email=email, lastName="B").get_json()["lastName"] == "B"
    for other in ("strasse@example.com", "kim@example.com"):
        body = problem(change(anna, email=other), 400, "S01")
        assert body["errors"] == {"currentPassword": ["is missing"]}


def test_an_old_email_does_not_come_back_without_the_password(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody reads the row, the owner changes the email, and then the first one writes."""

    def read_then_changed(user_id: int) -> Any:
        found = details(user_id)
        execute(update(users).values(email="new@example.com"))
        return found

    monkeypatch.setattr("tasks_api.auth.accounts.details", read_then_changed)
    problem(change(anna, email="ANNA@example.com"), 401, "A04")
    monkeypatch.undo()
    assert anna.call("GET", "/api/users/info").get_json()["email"] == "new@example.com"


def test_an_email_that_is_taken_is_s02_in_any_case(anna: Person, bertil: Person) -> None:
    taken = change(anna, email="BERTIL@example.com", firstName="x", currentPassword=PASSWORD)
    problem(taken, 422, "S02")
    info = anna.call("GET", "/api/users/info").get_json()
    assert (info["email"], info["firstName"]) == ("anna@example.com", "Anna")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("firstName", None),
        ("firstName", " \u3000"),
        ("lastName", "x" * 256),
        ("lastName", 1),
        ("email", "no address"),
        ("email", '"\x1b[31m"@example.com'),
        ("email", None),
        ("currentPassword", None),
        ("currentPassword", "x" * 257),
    ],
)
def test_a_malformed_change_is_s01_and_changes_nothing(
    anna: Person, field: str, value: Any
) -> None:
    before = anna.call("GET", "/api/users/info").json
    body = problem(
        change(anna, **({"firstName": "x", "lastName": "x"} | {field: value})), 400, "S01"
    )
    assert list(body["errors"]) == [field]
    assert anna.call("GET", "/api/users/info").json == before


def test_a_deleted_account_is_gone_with_all_that_was_its_own(
    app: Flask, anna: Person, bertil: Person
) -> None:
    for somebody in (anna, anna, bertil):
        somebody.call("POST", "/api/tasks", json={"name": "x"})
    phone = anna.other_device()
    assert remove(anna).status_code == 204
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
    body = problem(remove(anna, password), 400, "S01")
    assert list(body["errors"]) == ["currentPassword"]
    assert anna.is_in()


def test_a_deletion_with_a_wrong_password_is_p01_and_deletes_nothing(
    app: Flask, anna: Person
) -> None:
    anna.call("POST", "/api/tasks", json={"name": "x"})
    problem(remove(anna, "wrong one"), 422, "P01")
    assert counts(app) == [1, 1, 1]


@pytest.mark.parametrize(
    "guess", [remove, lambda anna, wrong: change(anna, email="a@b.se", currentPassword=wrong)]
)
def test_wrong_passwords_count_wherever_they_are_tried(
    make_app: MakeApp, guess: Callable[[Person, str], TestResponse]
) -> None:
    rates = {"RATELIMIT_LOGIN_FAILURES": "2 per hour", "RATELIMIT_PASSWORD": "3 per hour"}
    anna = joined(make_app(RATELIMIT_ENABLED="true", **rates))
    problem(guess(anna, "wrong one"), 422, "P01")
    problem(
        anna.call("POST", "/api/users/login", json={"email": anna.email, "password": "x"}),
        401,
        "L02",
    )
    answer = guess(anna, PASSWORD)
    problem(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 3000


@pytest.mark.parametrize(
    "guess", [remove, lambda anna, wrong: change(anna, email="a@b.se", currentPassword=wrong)]
)
def test_what_hashes_a_password_is_limited_for_each_address(
    make_app: MakeApp, guess: Callable[[Person, str], TestResponse]
) -> None:
    anna = joined(make_app(RATELIMIT_ENABLED="true", RATELIMIT_PASSWORD="1 per hour"))
    for _ in range(2):  # nothing is hashed
        assert change(anna, firstName="x", currentPassword="x").status_code == 200
    problem(guess(anna, "wrong one"), 422, "P01")
    problem(guess(anna, PASSWORD), 429, "rate_limited")


def test_whoever_changes_or_deletes_while_the_password_is_changed_is_a04(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna.call("POST", "/api/tasks", json={"name": "x"})

    def change_meanwhile(*_args: object) -> bool:
        with app.app_context():
            execute(update(users).values(password=uuid4().hex))
        return True

    monkeypatch.setattr(Hasher, "verify", change_meanwhile)
    problem(change(anna, email="new@example.com", currentPassword=PASSWORD), 401, "A04")
    problem(remove(anna), 401, "A04")
    assert counts(app) == [1, 1, 1]
    assert anna.is_in()


def test_whoever_changes_a_name_while_the_account_is_deleted_is_a04(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_then_deleted(user_id: int) -> Any:
        found = details(user_id)
        accounts.delete_as_operator(user_id)
        return found

    monkeypatch.setattr("tasks_api.auth.accounts.details", read_then_deleted)
    problem(change(anna, firstName="x"), 401, "A04")


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
        problem(remove(anna), 500, "internal")
        event.remove(db.engine, "before_cursor_execute", fail)
    assert len(seen) == place + 1
    assert counts(app) == [1, 1, 1]
    assert remove(anna).status_code == 204


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
        problem(remove(anna), 409, "in_use")
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
    problem(remove(anna, "wrong one"), 422, "P01")
    assert anna.client.get_cookie("tasks_refresh", path="/api/users")
    assert remove(anna).status_code == 204
    assert not anna.client.get_cookie("tasks_refresh", path="/api/users")


def test_a_deletion_leaves_somebody_elses_cookie_alone(app: Flask, bertil: Person) -> None:
    anna = joined(app)
    anna.client = bertil.client
    body = {"email": bertil.email, "password": PASSWORD, "cookie": True}
    bertil.client.post("/api/users/login", json=body)
    assert remove(anna).status_code == 204
    assert bertil.client.get_cookie("tasks_refresh", path="/api/users")


def test_events_tell_what_became_of_an_account_without_its_email(
    anna: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tasks_api.security")
    change(anna, firstName="Anne")
    change(anna, email="new@example.com", currentPassword="wrong one")
    change(anna, email="new@example.com", currentPassword=PASSWORD)
    remove(anna, "wrong one")
    remove(anna)
    told = [
        (it.levelname, it.msg, getattr(it, "reason", None))
        for it in caplog.records
        if it.name == "tasks_api.security"
    ]
    assert told == [
        ("INFO", "user_changed", "details"),
        ("WARNING", "user_change_failed", None),
        ("INFO", "user_changed", "email"),
        ("WARNING", "user_delete_failed", None),
        ("INFO", "user_deleted", None),
    ]
    assert {getattr(it, "user_id", None) for it in caplog.records} == {1}
    assert "example.com" not in str([vars(it) for it in caplog.records])
