"""Signing up and logging in."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tasks_api.database.tables import user_table
from tests.auth.conftest import VECTORS
from tests.conftest import MakeApp, Person, joined, problem, stored, write
from tests.live import PASSWORD


def test_signup_and_info_answer_the_user(client: FlaskClient) -> None:
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
        ("email", "no address"),
        ("email", "a" * 42 + "@test.com1"),
        ("email", "é@example.com"),
        ("email", "a\0@b.se"),
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
    assert field in body["error"]


def test_passwords_that_differ_are_s03(client: FlaskClient) -> None:
    problem(Person(client).sign_up(confirmPassword=PASSWORD + "x"), 422, "S03")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("1234567", "8 to 256"),
        ("PassWord", "most common"),
        (" password1 ", "most common"),
        ("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", "most common"),
        ("pass\u200bword1", "most common"),
        ("Tasks-demo-2026", "most common"),
        ("aaaaaaaaaaaa", "one character"),
        ("9876543210", "one row"),
        ("Anna@Example.com", "email"),
        ("ANDERSSON", "name"),
        ("AnnaAndersson", "name"),
    ],
)
def test_a_password_that_is_guessed_first_is_s04_and_says_why(
    client: FlaskClient, password: str, reason: str
) -> None:
    body = problem(Person(client).sign_up(password=password, confirmPassword=password), 422, "S04")
    assert reason in body["error"]


@pytest.mark.parametrize(
    "password",
    [
        "1234567å",
        " a b c d",
        "xy" * 128,
        "😀日😀本😀",
    ],
)
def test_any_password_of_eight_to_256_characters_works(client: FlaskClient, password: str) -> None:
    anna = Person(client, password=password)
    assert anna.sign_up().status_code == 201
    assert anna.log_in().status_code == 200


def test_login_answers_both_tokens(anna: Person) -> None:
    answer = anna.log_in()
    assert answer.json == {
        "accessToken": anna.access,
        "refreshToken": anna.refresh,
        "userId": 1,
        "firstName": "Anna",
        "tokenType": "Bearer",
        "expiresIn": 900,
    }
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "email",
    [
        "ANNA@EXAMPLE.COM",
        "\u3000anna@example.com\t",
    ],
)
def test_neither_case_of_an_email_nor_blanks_around_it_count(anna: Person, email: str) -> None:
    anna.email = email
    assert anna.log_in().status_code == 200
    problem(anna.sign_up(), 422, "S02")


def test_wrong_email_wrong_password_and_inactive_user_get_one_answer(
    app: Flask, anna: Person
) -> None:
    answers = [
        Person(anna.client, "nobody, and no address").log_in(),
        Person(anna.client, anna.email, "wrong").log_in(),
    ]
    write(app, user_table, active=False)
    answers.append(anna.log_in())
    first, second, third = (problem(answer, 401, "L02") for answer in answers)
    assert first == second == third
    assert answers[0].headers["WWW-Authenticate"] == 'Bearer realm="tasks-api"'


@pytest.mark.parametrize(
    "body",
    [
        {"email": "anna@example.com"},
        {"email": "x" * 51, "password": "x"},
        {"email": "x", "password": "x" * 257},
        None,
    ],
)
def test_a_malformed_login_is_l01(client: FlaskClient, body: Any) -> None:
    problem(client.post("/api/users/login", json=body), 400, "L01")


def test_a_body_that_is_no_object_is_named(client: FlaskClient) -> None:
    body = problem(client.post("/api/users/login", json=[]), 400, "L01")
    assert body["detail"] == "The body must be a JSON object."


def test_users_of_the_original_log_in_and_get_a_stronger_hash(make_app: MakeApp) -> None:
    app, vector = make_app(PASSWORD_ITERATIONS="120000"), VECTORS[0]
    anna = joined(app)
    write(app, user_table, password=vector["Password"], password_salt=vector["PasswordSalt"])
    anna.password = vector["password"]
    for _ in range(2):
        assert anna.log_in().status_code == 200
        assert stored(app, user_table)[0].password.startswith("pbkdf2-sha256$120000$")
    anna.client = make_app(PASSWORD_ITERATIONS="100000").test_client()
    assert anna.log_in().status_code == 200
    assert (
        len(stored(app, user_table)[0].password) == 44
    )  # setting 100000 writes what the original reads
