"""An account after its signup: its names and its email are changed, with the password where that is needed."""

import logging
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import update

from tasks_api.auth import accounts
from tasks_api.auth.passwords import Hasher
from tasks_api.auth.users import details
from tasks_api.database.engine import execute
from tasks_api.database.tables import user_table
from tests.conftest import Person, problem, write
from tests.live import PASSWORD


def test_names_are_changed_and_the_rest_stays(anna: Person) -> None:
    expected = anna.info() | {"firstName": "Anne"}
    answer = anna.change_info(FirstName=" Anne ", creationDate="2000-01-01")
    assert (answer.status_code, answer.json) == (200, expected)
    expected["lastName"] = "Å"
    assert anna.change_info(lastName="Å").json == expected
    assert anna.change_info().json == expected
    assert anna.info() == expected


def test_a_new_email_needs_the_password_and_ends_no_session(anna: Person) -> None:
    phone = anna.other_device()
    body = problem(anna.change_info(email="new@example.com", firstName="x"), 400, "S01")
    assert body["errors"] == {"currentPassword": ["is missing"]}
    refused = anna.change_info(email="new@example.com", firstName="x", currentPassword="wrong one")
    problem(refused, 422, "P01")
    assert anna.info()["firstName"] == "Anna"
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
    write(app, user_table, email=email)
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
        execute(update(user_table).values(email="new@example.com"))
        return found

    monkeypatch.setattr("tasks_api.auth.accounts.details", read_then_changed)
    problem(anna.change_info(email="ANNA@example.com"), 401, "A04")
    monkeypatch.undo()
    assert anna.info()["email"] == "new@example.com"


def test_an_email_that_is_taken_is_s02_in_any_case(anna: Person, bertil: Person) -> None:
    before = anna.info()
    taken = anna.change_info(email="BERTIL@example.com", firstName="x", currentPassword=PASSWORD)
    problem(taken, 422, "S02")
    assert anna.info() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("firstName", None),
        ("firstName", " \u3000"),
        ("lastName", "x" * 256),
        ("email", "no address"),
        ("email", '"\x1b[31m"@example.com'),
        ("currentPassword", "x" * 257),
    ],
)
def test_a_malformed_change_is_s01_and_changes_nothing(
    anna: Person, field: str, value: Any
) -> None:
    before = anna.info()
    names = {"firstName": "x", "lastName": "x"}
    body = problem(anna.change_info(**names | {field: value}), 400, "S01")
    assert list(body["errors"]) == [field]
    assert anna.info() == before


def test_a_password_that_changes_while_it_is_verified_lets_nobody_do_anything(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna.add_task()

    def change_meanwhile(*_args: object) -> bool:
        write(app, user_table, password=uuid4().hex)
        return True

    monkeypatch.setattr(Hasher, "verify", change_meanwhile)
    problem(anna.log_in(), 401, "L02")
    problem(anna.change_password(), 401, "A04")
    problem(anna.change_info(email="new@example.com", currentPassword=PASSWORD), 401, "A04")
    problem(anna.delete_account(), 401, "A04")
    assert len(anna.tasks()) == 1


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
