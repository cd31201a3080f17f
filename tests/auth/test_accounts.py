"""An account after its signup: its names and its email are changed, with the password where that is needed."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import update
from werkzeug.test import TestResponse

from tasks_api.auth import accounts
from tasks_api.auth.passwords import Hasher
from tasks_api.auth.users import details
from tasks_api.database.engine import execute
from tasks_api.models import users
from tests.conftest import MakeApp, Person, joined, problem
from tests.live import PASSWORD


def test_names_are_changed_and_the_rest_stays(anna: Person) -> None:
    before = anna.call("GET", "/api/users/info").get_json()
    answer = anna.change_info(FirstName=" Anne ", userId=77, creationDate="2000-01-01")
    assert (answer.status_code, answer.json) == (200, before | {"firstName": "Anne"})
    assert anna.change_info(lastName="Å").get_json() == before | {
        "firstName": "Anne",
        "lastName": "Å",
    }
    after = anna.call("GET", "/api/users/info").get_json()
    assert anna.change_info().get_json() == after
    assert after["firstName"] == "Anne"


def test_a_new_email_needs_the_password_and_ends_no_session(anna: Person) -> None:
    phone = anna.other_device()
    body = problem(anna.change_info(email="new@example.com", firstName="x"), 400, "S01")
    assert body["errors"] == {"currentPassword": ["is missing"]}
    refused = anna.change_info(email="new@example.com", firstName="x", currentPassword="wrong one")
    problem(refused, 422, "P01")
    assert anna.call("GET", "/api/users/info").get_json()["firstName"] == "Anna"
    changed = anna.change_info(email=" new@example.com\t", currentPassword=PASSWORD)
    assert (changed.status_code, changed.get_json()["email"]) == (200, "new@example.com")
    assert anna.is_in()
    assert phone.refreshed().status_code == 200
    problem(anna.log_in(), 401, "L02")
    anna.email = "New@Example.com"
    assert anna.log_in().status_code == 200


def test_ones_own_email_in_another_case_is_no_new_one(anna: Person) -> None:
    answer = anna.change_info(email="ANNA@example.com", currentPassword="not looked at")
    assert (answer.status_code, answer.get_json()["email"]) == (200, "ANNA@example.com")


@pytest.mark.parametrize(
    "email", ["admin", " Bo@example.com", "straße@example.com", "\u212aim@example.com"]
)
def test_the_email_of_an_original_user_may_be_sent_back_whatever_its_form(
    app: Flask, anna: Person, email: str
) -> None:
    with app.app_context():
        execute(update(users).values(email=email))
    assert anna.change_info(email=email, lastName="B").get_json()["lastName"] == "B"
    for other in ("strasse@example.com", "kim@example.com"):
        body = problem(anna.change_info(email=other), 400, "S01")
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
    problem(anna.change_info(email="ANNA@example.com"), 401, "A04")
    monkeypatch.undo()
    assert anna.call("GET", "/api/users/info").get_json()["email"] == "new@example.com"


def test_an_email_that_is_taken_is_s02_in_any_case(anna: Person, bertil: Person) -> None:
    taken = anna.change_info(email="BERTIL@example.com", firstName="x", currentPassword=PASSWORD)
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
        anna.change_info(**({"firstName": "x", "lastName": "x"} | {field: value})), 400, "S01"
    )
    assert list(body["errors"]) == [field]
    assert anna.call("GET", "/api/users/info").json == before


def guess_for_an_email(somebody: Person, password: str) -> TestResponse:
    return somebody.change_info(email="a@b.se", currentPassword=password)


GUESSES = [Person.delete_account, guess_for_an_email]


@pytest.mark.parametrize("guess", GUESSES)
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


@pytest.mark.parametrize("guess", GUESSES)
def test_what_hashes_a_password_is_limited_for_each_address(
    make_app: MakeApp, guess: Callable[[Person, str], TestResponse]
) -> None:
    anna = joined(make_app(RATELIMIT_ENABLED="true", RATELIMIT_PASSWORD="1 per hour"))
    for _ in range(2):  # nothing is hashed
        assert anna.change_info(firstName="x", currentPassword="x").status_code == 200
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
    problem(anna.change_info(email="new@example.com", currentPassword=PASSWORD), 401, "A04")
    problem(anna.delete_account(), 401, "A04")
    assert len(anna.call("GET", "/api/tasks").get_json()) == 1


def test_whoever_changes_a_name_while_the_account_is_deleted_is_a04(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_then_deleted(user_id: int) -> Any:
        found = details(user_id)
        accounts.delete_as_operator(user_id)
        return found

    monkeypatch.setattr("tasks_api.auth.accounts.details", read_then_deleted)
    problem(anna.change_info(firstName="x"), 401, "A04")


def test_events_tell_what_became_of_an_account_without_its_email(
    anna: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tasks_api.security")
    anna.change_info(firstName="Anne")
    anna.change_info(email="new@example.com", currentPassword="wrong one")
    anna.change_info(email="new@example.com", currentPassword=PASSWORD)
    anna.delete_account("wrong one")
    anna.delete_account()
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
