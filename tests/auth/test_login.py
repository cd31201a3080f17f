"""Logging in, and changing the password."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import SQLAlchemyError

from tasks_api.auth import login
from tasks_api.clock import now
from tasks_api.database.tables import session_table, user_table
from tests.conftest import MakeApp, Person, invalid_grant, joined, problem, stored, watch, write
from tests.live import at_once


def test_a_login_answers_both_tokens_for_the_email_in_any_case(anna: Person) -> None:
    anna.email = "\u3000ANNA@example.com\t"
    facts = {"userId": 1, "firstName": "Anna", "tokenType": "Bearer", "expiresIn": 900}
    assert anna.log_in().get_json().items() >= facts.items()


@pytest.mark.parametrize(
    "body",
    [
        {"email": "x" * 51, "password": "x"},
        {"email": "x", "password": "x" * 257},
        [],
    ],
)
def test_a_malformed_login_is_l01(client: FlaskClient, body: Any) -> None:
    problem(client.post("/api/users/login", json=body), 400, "L01")


def test_wrong_email_wrong_password_and_inactive_user_get_one_answer(
    app: Flask, anna: Person
) -> None:
    unknown = replace(anna, email="unknown, and no address").log_in()
    wrong = replace(anna, password="wrong").log_in()
    write(app, user_table, active=False)
    problems = [problem(answer, 401, "L02") for answer in (unknown, wrong, anna.log_in())]
    assert problems == problems[:1] * 3


def test_a_login_costs_the_same_for_every_email(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent: list[int] = []

    def count(*arguments: Any) -> bytes:
        spent.append(arguments[3])
        return b"another key"

    def cost(email: str) -> int:
        spent.clear()
        replace(anna, email=email).log_in()
        return sum(spent)

    monkeypatch.setattr("tasks_api.auth.passwords.pbkdf2_hmac", count)
    for stored_hash in ("pbkdf2-sha256$900000$x", "of the .NET original"):
        write(app, user_table, password=stored_hash)
        assert cost(anna.email) == cost("unknown") == 900_000


def test_three_logins_at_once_succeed_and_replace_a_hash_of_other_iterations(
    make_app: MakeApp,
) -> None:
    joined(make_app())
    for iterations, length in (("100000", 44), ("120000", 65)):  # the .NET original reads 44
        app = make_app(PASSWORD_ITERATIONS=iterations)
        logins = at_once(3, Person(app.test_client()).log_in)
        assert [answer.status_code for answer in logins] == [200, 200, 200]
        (user,) = stored(app, user_table)
        assert len(user.password) == length


@pytest.mark.parametrize(("act", "status"), [(Person.log_in, 200), (Person.change_password, 401)])
def test_a_login_whose_hash_is_replaced_after_the_check_checks_once_more(
    make_app: MakeApp, act: Callable[[Person], Any], status: int
) -> None:
    app = make_app()
    anna = joined(app)
    others = [replace(anna, client=make_app(PASSWORD_ITERATIONS="100000").test_client())]

    def interrupt(statement: str) -> None:
        if statement.startswith("BEGIN") and others:
            assert act(others.pop()).status_code == 200

    watch(app, interrupt)
    assert anna.log_in().status_code == status
    assert not others


def test_a_login_deletes_some_expired_sessions_of_any_user(
    app: Flask, anna: Person, bertil: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "PURGED_AT_LOGIN", 1)
    anna.other_device()
    write(app, session_table, expiry_date=now().replace(year=2020))
    bertil.log_in()  # his own go without a limit
    assert [row.user_id for row in stored(app, session_table)] == [1, 2]


def test_a_login_succeeds_when_expired_sessions_cannot_be_deleted(
    anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "purge", Mock(side_effect=SQLAlchemyError))
    assert anna.log_in().status_code == 200


def test_a_password_change_ends_all_sessions_and_opens_one(anna: Person) -> None:
    others = [anna.other_device(), replace(anna)]
    assert anna.keep(anna.change_password("new password")).status_code == 200
    assert anna.is_in()
    for other in others:
        assert not other.is_in()
        invalid_grant(other.refreshed())
    problem(anna.log_in(), 401, "L02")
    assert replace(anna, password="new password").log_in().status_code == 200


def test_a_refused_password_change_changes_nothing(anna: Person) -> None:
    problem(anna.change_password(currentPassword="wrong password"), 422, "P01")
    problem(anna.change_password(confirmPassword="another one"), 422, "S03")
    problem(anna.change_password("Andersson1"), 422, "S04")
    assert anna.is_in()
    assert anna.log_in().status_code == 200
