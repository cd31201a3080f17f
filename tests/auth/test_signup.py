"""Signing up: what is stored, and which passwords are accepted."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import Person, problem


def test_a_signup_answers_the_user(client: FlaskClient) -> None:
    anna = Person(client)
    answer = anna.sign_up(ts="2024-02-29T10:00:29.998+02:00", unknown="ignored")
    user = {
        "email": "anna@example.com",
        "firstName": "Anna",
        "lastName": "Andersson",
        "creationDate": "2024-02-29T08:00:00Z",
    }
    assert (answer.status_code, answer.json) == (201, user | {"userId": 1})
    anna.log_in()
    assert anna.info() == user


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "a" * 42 + "@test.com1"),
        ("email", "é@example.com"),
        ("email", '"\x01"@b.se'),
        ("password", "x" * 257),
        ("confirmPassword", None),
        ("firstName", "  "),
        ("firstName", "😀" * 128),
        ("ts", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_a_malformed_signup_is_s01(client: FlaskClient, field: str, value: Any) -> None:
    body = problem(Person(client).sign_up(**{field: value}), 400, "S01")
    assert list(body["errors"]) == [field]


def test_an_email_that_is_taken_is_s02_in_any_case(anna: Person) -> None:
    problem(anna.sign_up(email="\u3000ANNA@example.com\t"), 422, "S02")


def test_passwords_that_differ_are_s03(anna: Person) -> None:
    problem(anna.sign_up(confirmPassword="another one"), 422, "S03")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("xK9-qv7", "8 to 256 characters"),
        ("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", "common password"),  # wide letters
        ("9876543210", "Sequences"),
        ("Anna@Example.com", "easy to guess"),
        ("Tasks-demo-2026", "easy to guess"),  # README names it
    ],
)
def test_a_weak_password_is_s04_and_the_answer_says_why(
    anna: Person, password: str, reason: str
) -> None:
    answer = anna.sign_up(password=password, confirmPassword=password)
    assert reason in problem(answer, 422, "S04")["error"]


@pytest.mark.parametrize("password", [" a b c d", "xK9-qv😀", "horse battery " + "x" * 242])
def test_a_password_may_have_any_characters_from_8_to_256(
    client: FlaskClient, password: str
) -> None:
    anna = Person(client, password=password)
    assert anna.sign_up().status_code == 201
    assert anna.log_in().status_code == 200
