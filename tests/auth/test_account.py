"""An account after its signup: its details change, and it is deleted as a whole."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Column, ForeignKey, Table, insert

from tasks_api.database.engine import db, execute
from tasks_api.database.tables import USER, metadata, user_table
from tests.conftest import (
    MakeApp,
    Person,
    invalid_grant,
    joined,
    problem,
    said,
    stored,
    watch,
    write,
)
from tests.live import PASSWORD

# --- changing names and email -----------------------------------------------------------------------------


def test_names_and_the_case_of_the_email_change_without_a_password(anna: Person) -> None:
    changes = {"firstName": "Anne", "email": "ANNA@example.com"}
    expected = anna.info() | changes
    assert anna.change_info(**changes).json == expected
    assert anna.change_info().json == expected
    assert anna.info() == expected


def test_a_new_email_needs_the_password_and_ends_no_session(anna: Person) -> None:
    changes = {"email": " new@example.com\t", "firstName": "x"}
    problem(anna.change_info(**changes), 400, "S01")
    problem(anna.change_info(**changes, currentPassword="wrong one"), 422, "P01")
    assert anna.info()["firstName"] == "Anna"
    changed = anna.change_info(**changes, currentPassword=PASSWORD).get_json()
    assert changed["email"] == "new@example.com"
    assert anna.is_in()
    problem(anna.log_in(), 401, "L02")
    anna.email = "new@example.com"
    assert anna.log_in().status_code == 200


@pytest.mark.parametrize("email", ["straße@example.com", "\u212aim@example.com"])
def test_an_email_of_the_original_may_be_sent_back_in_any_form(
    app: Flask, anna: Person, email: str
) -> None:
    write(app, user_table, email=email)
    assert anna.change_info(email=email).status_code == 200
    problem(anna.change_info(email=email.casefold()), 400, "S01")


def test_a_new_email_that_is_taken_is_s02_in_any_case(anna: Person, bertil: Person) -> None:
    answer = anna.change_info(email=bertil.email.upper(), currentPassword=PASSWORD)
    problem(answer, 422, "S02")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("firstName", None),
        ("lastName", "x" * 256),
        ("email", "no address"),
    ],
)
def test_a_malformed_change_is_s01(anna: Person, field: str, value: Any) -> None:
    body = problem(anna.change_info(**{field: value}), 400, "S01")
    assert list(body["errors"]) == [field]


# --- deleting ---------------------------------------------------------------------------------------------


def test_a_deleted_user_is_gone_with_tasks_and_sessions(anna: Person, bertil: Person) -> None:
    for person in (anna, bertil):
        person.add_task()
    devices = [anna, anna.other_device()]
    assert anna.delete_account().status_code == 204
    for device in devices:
        assert not device.is_in()
        invalid_grant(device.refreshed())
    assert len(bertil.tasks()) == 1
    old_id = anna.user_id
    assert anna.sign_up().status_code == 201
    anna.log_in()
    assert anna.user_id > old_id


@pytest.fixture
def fork_table(app: Flask, anna: Person) -> Iterator[Table]:
    """A table that a fork adds. Anna has a row."""
    table = Table("OfAFork", metadata, Column("UserId", ForeignKey(USER.id)))
    with app.app_context():
        table.create(db.engine)
        execute(insert(table).values(UserId=anna.user_id))
    yield table
    with app.app_context():
        table.drop(db.engine)
    metadata.remove(table)


def test_rows_of_any_table_that_refers_to_users_are_exported_and_deleted(
    app: Flask, anna: Person, fork_table: Table
) -> None:
    exported = json.loads(said(app, "users", "export", anna.email))
    assert exported["OfAFork"] == [{"UserId": anna.user_id}]
    assert anna.delete_account().status_code == 204
    assert not stored(app, fork_table)


def test_a_table_that_the_service_does_not_know_makes_a_deletion_fail_as_a_whole(
    anna: Person, fork_table: Table
) -> None:
    anna.add_task()
    metadata.remove(fork_table)
    problem(anna.delete_account(), 500, "internal")
    assert len(anna.tasks()) == 1


def test_a_deletion_clears_the_cookie_of_the_user_alone(anna: Person, bertil: Person) -> None:
    bertil.log_in(cookie=True)
    anna.client = bertil.client
    phone = bertil.other_device()
    kept = [anna.delete_account(), phone.delete_account("wrong one")]
    assert ["Set-Cookie" in answer.headers for answer in kept] == [False, False]
    assert "tasks_refresh=;" in phone.delete_account().headers["Set-Cookie"]


# --- beside other requests, and in the log ----------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        Person.change_password,
        Person.delete_account,
        lambda anna: anna.change_info(email="a@b.se", currentPassword=PASSWORD),
        lambda anna: anna.change_info(email="ANNA@example.com"),
    ],
)
def test_a_request_whose_user_is_changed_after_the_check_is_a04(
    app: Flask, anna: Person, act: Callable[[Person], Any]
) -> None:
    changes = [{"email": "new@example.com", "password": "x"}]

    def interrupt(statement: str) -> None:
        if statement.startswith(("BEGIN", "UPDATE")) and changes:
            write(app, user_table, **changes.pop())

    watch(app, interrupt)
    problem(act(anna), 401, "A04")
    assert not changes


def test_events_say_what_happened_to_an_account_without_its_email(
    capsys: pytest.CaptureFixture[str], make_app: MakeApp
) -> None:
    anna = joined(make_app())
    for password in ("wrong one", PASSWORD):
        anna.change_info(email="new@example.com", currentPassword=password)
    for password in ("wrong one", PASSWORD):
        anna.delete_account(password)
    log = capsys.readouterr().err
    assert re.findall(r'"event":"(user_\w+)"', log) == [
        "user_change_failed",
        "user_changed",
        "user_delete_failed",
        "user_deleted",
    ]
    assert "example.com" not in log
