"""Signing up and logging in."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from tasks_api.auth.passwords import Hasher
from tasks_api.database.engine import execute, fetch_all
from tasks_api.models import users
from tests.auth.conftest import VECTORS
from tests.conftest import MakeApp, Person, problem
from tests.live import PASSWORD


def test_signup_answers_the_new_user(client: FlaskClient) -> None:
    answer = Person(client).sign_up(ts="2024-02-29T10:00:29.998+02:00", unknown="ignored", id=99)
    assert answer.status_code == 201
    assert answer.json == {
        "userId": 1,
        "email": "anna@example.com",
        "firstName": "Anna",
        "lastName": "Andersson",
        "creationDate": "2024-02-29T08:00:00Z",
    }


def test_signup_names_match_without_case(client: FlaskClient) -> None:
    body = {
        "EMAIL": "a@b.se",
        "PassWord": PASSWORD,
        "confirmpassword": PASSWORD,
        "FirstName": "A",
        "LASTNAME": "B",
    }
    assert client.post("/API/Users/SignUp/", json=body).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", "a" * 42 + "@test.com1"),
        ("email", "   "),
        ("email", "é@example.com"),
        ("email", 5),
        ("email", None),
        ("email", "a\0@b.se"),
        ("password", "x" * 257),
        ("password", ""),
        ("confirmPassword", None),
        ("firstName", "  "),
        ("firstName", "😀" * 128),
        ("lastName", ["x"]),
        ("ts", "yesterday"),
        ("ts", "1899-12-31T23:59:59Z"),
        ("ts", "2079-06-06T23:59:30Z"),
        ("ts", "0001-01-01T00:00:00+14:00"),
        ("ts", 20240101),
    ],
)
def test_a_malformed_signup_is_s01(client: FlaskClient, field: str, value: Any) -> None:
    body = problem(Person(client).sign_up(**{field: value}), 400, "S01")
    assert list(body["errors"]) == [field]
    assert field in body["error"]


def test_passwords_that_differ_are_s03(client: FlaskClient) -> None:
    problem(Person(client).sign_up(confirmPassword=PASSWORD + "x"), 422, "S03")


@pytest.mark.parametrize("password", ["1234567", "😀😀😀"])
def test_a_short_password_is_s04(client: FlaskClient, password: str) -> None:
    problem(Person(client).sign_up(password=password, confirmPassword=password), 422, "S04")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("1234567", "at least 8"),
        ("password", "most common"),
        ("PassWord", "most common"),
        (" password1 ", "most common"),
        ("\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44", "most common"),
        ("pass\u200bword1", "most common"),
        ("Tasks-demo-2026", "most common"),
        ("aaaaaaaaaaaa", "one character"),
        ("        ", "one character"),
        ("abcdefgh", "one row"),
        ("9876543210", "one row"),
        ("anna@example.com", "email"),
        ("Anna@Example.com", "email"),
        ("ANDERSSON", "name"),
        ("anna andersson", "name"),
        ("AnnaAndersson", "name"),
    ],
)
def test_a_password_that_is_guessed_first_is_s04_and_says_why(
    client: FlaskClient, password: str, reason: str
) -> None:
    body = problem(Person(client).sign_up(password=password, confirmPassword=password), 422, "S04")
    assert reason in body["error"]


@pytest.mark.parametrize("password", ["1234567å", " a b c d", "xy" * 128, "pä$$wörd-日本語"])
def test_any_password_of_eight_to_256_characters_works(client: FlaskClient, password: str) -> None:
    anna = Person(client, password=password)
    assert anna.sign_up().status_code == 201
    assert anna.log_in().status_code == 200


def test_login_answers_both_tokens(client: FlaskClient) -> None:
    anna = Person(client)
    anna.sign_up()
    answer = anna.log_in()
    assert answer.status_code == 200
    assert set(answer.get_json()) == {
        "accessToken",
        "refreshToken",
        "userId",
        "firstName",
        "tokenType",
        "expiresIn",
    }
    assert answer.json
    assert (answer.json["userId"], answer.json["firstName"]) == (1, "Anna")
    assert (answer.json["tokenType"], answer.json["expiresIn"]) == ("Bearer", 900)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "email",
    ["ANNA@EXAMPLE.COM", " anna@example.com", "anna@example.com\t", "\u3000anna@example.com\u00a0"],
)
def test_neither_case_of_an_email_nor_blanks_around_it_count(anna: Person, email: str) -> None:
    anna.email = email
    assert anna.log_in().status_code == 200
    problem(anna.sign_up(), 422, "S02")


def test_wrong_email_wrong_password_and_inactive_user_get_one_answer(
    app: Flask, anna: Person
) -> None:
    answers = [
        Person(anna.client, "nobody@example.com").log_in(),
        Person(anna.client, anna.email, "wrong").log_in(),
    ]
    set_user(app, active=False)
    answers.append(anna.log_in())
    bodies = [problem(answer, 401, "L02") for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "anna@example.com"},
        {"password": "x"},
        {"email": "", "password": "x"},
        {"email": "x" * 51, "password": "x"},
        {"email": "x", "password": "x" * 257},
        {"email": 1, "password": "x"},
        {"email": True, "password": None},
        [],
        "text",
        None,
    ],
)
def test_a_malformed_login_is_l01(client: FlaskClient, body: Any) -> None:
    problem(client.post("/api/users/login", json=body), 400, "L01")


def test_login_does_not_ask_for_the_form_of_an_email(client: FlaskClient) -> None:
    problem(
        client.post("/api/users/login", json={"email": "not an address", "password": "x"}),
        401,
        "L02",
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["password"][:12])
def test_users_of_the_original_log_in_and_get_a_stronger_hash(
    make_app: MakeApp, vector: dict[str, Any]
) -> None:
    app = make_app(PASSWORD_ITERATIONS="120000")
    anna = Person(app.test_client())
    anna.sign_up()
    set_user(app, password=vector["Password"], password_salt=vector["PasswordSalt"])
    anna.password = vector["password"]
    assert anna.log_in().status_code == 200
    assert stored_password(app).startswith("pbkdf2-sha256$120000$")
    assert anna.log_in().status_code == 200
    back = Person(make_app().test_client(), password=vector["password"])
    assert back.log_in().status_code == 200
    assert len(stored_password(app)) == 44  # setting 100000 writes what the original reads


def test_a_login_that_was_verified_before_a_password_change_is_refused(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Hasher.verify

    def verify_then_change(self: Any, password: str, stored: Any) -> bool:
        good: bool = verify(self, password, stored)
        set_user(app, password="changed meanwhile")
        return good

    monkeypatch.setattr(Hasher, "verify", verify_then_change)
    problem(anna.log_in(), 401, "L02")


def test_info_says_who_i_am(anna: Person) -> None:
    answer = anna.call("GET", "/api/users/info")
    assert answer.json
    assert set(answer.json) == {"email", "firstName", "lastName", "creationDate"}
    assert answer.json["email"] == "anna@example.com"


def set_user(app: Flask, **values: Any) -> None:
    with app.app_context():
        execute(update(users).where(users.c.id == 1).values(**values))


def stored_password(app: Flask) -> str:
    with app.app_context():
        return str(fetch_all(select(users.c.password))[0].password)
