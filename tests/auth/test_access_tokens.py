"""Access tokens: what they say, and every wrong kind."""

from dataclasses import replace
from typing import Any

import jwt
import pytest
from flask import Flask

from tasks_api.database.tables import session_table
from tests.auth.conftest import KEY, claims_of, row_of, signed
from tests.conftest import MakeApp, Person, joined, problem, stored, write


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(JWT_SECRET_KEY=KEY)


def test_it_has_these_claims(anna: Person) -> None:
    found = claims_of(anna)
    names = {"iss", "aud", "sub", "sid", "ctr", "jti", "iat", "nbf", "exp", "type", "fresh"}
    assert found.keys() == names
    known = {"iss": "tasks-api", "aud": "tasks-api", "sub": "1", "type": "access"}
    assert found.items() >= known.items()
    assert found["exp"] - found["iat"] == 900


def test_it_is_for_all_audiences_and_the_first_one_is_this_service(make_app: MakeApp) -> None:
    anna = joined(make_app(JWT_SECRET_KEY=KEY, JWT_AUDIENCE="tasks-api, reports"))
    assert anna.is_in()
    anna.access = signed(claims_of(anna, audience="reports") | {"aud": "reports"})
    problem(anna.call("GET", "/api/tasks"), 401, "A03")


def test_it_expires_exactly_after_its_seconds(clock: Any, anna: Person) -> None:
    clock.shift(899)
    assert anna.is_in()
    for seconds in (1, 60):  # within the clock skew, and beyond it
        clock.shift(seconds)
        problem(anna.call("GET", "/api/tasks"), 401, "A02")


def test_clocks_may_differ_by_five_seconds(clock: Any, anna: Person) -> None:
    clock.shift(-6)
    problem(anna.call("GET", "/api/tasks"), 401, "A03")
    clock.shift(1)
    assert anna.is_in()


def test_the_scheme_has_no_case(anna: Person) -> None:
    headers = {"Authorization": f"bEARER {anna.access}"}
    assert anna.client.get("/api/users/info", headers=headers).status_code == 200


@pytest.mark.parametrize("header", ["Bearer ", "Basic dXNlcjpwYXNz"])
def test_no_token_is_a01(anna: Person, header: str) -> None:
    problem(anna.client.get("/api/users/info", headers={"Authorization": header}), 401, "A01")


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"type": "refresh"},
    {"iss": "other"},
    {"aud": "other"},
    {"sub": "-1"},
    {"sub": "\u0661"},
    {"sub": "01"},
    {"sub": "9" * 5000},
    {"exp": float("inf")},
    {"sid": "x"},
    {"sid": 5},
    {"ctr": "1"},
    {"nbf": 2**32},
]


def test_every_wrong_kind_of_token_is_a03(
    capsys: pytest.CaptureFixture[str], make_app: MakeApp
) -> None:
    """Only a wrong signature with a known key id is called forged."""
    anna = joined(make_app(JWT_SECRET_KEY=KEY))
    good, access = claims_of(anna), anna.access
    untyped = claims_of(anna)
    del untyped["type"]
    refused = [
        *(signed(good | change) for change in WRONG_CLAIMS),
        signed(untyped),
        signed(good, "", None),
        signed(good, algorithm="HS512"),
        signed(good, kid="../../etc/passwd"),
        jwt.encode(good, KEY, "HS256"),
        *(f'"{access}"', f"{access}, {access}", f"{access} {access}", access[:-44]),
        *(anna.refresh, "null", "a.b.c", "å.ä.ö"),
    ]
    header, _, signature = access.split(".")
    other = signed(good | {"sub": "2"}).split(".")[1]
    forged = [signed(good, "x" * 40), f"{header}.{other}.{signature}"]
    for tokens, event in ((refused, "access_token_refused"), (forged, "access_token_forged")):
        for anna.access in tokens:
            capsys.readouterr()
            answer = anna.call("GET", "/api/users/info")
            problem(answer, 401, "A03")
            assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
            log = capsys.readouterr().err
            assert f'"{event}"' in log, anna.access
            assert access not in log


@pytest.mark.parametrize(
    "change",
    [
        {"sub": "2"},
        {"sub": "99999999999"},
        {"sid": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_a_token_of_no_session_is_a04(
    anna: Person, bertil: Person, change: dict[str, str]
) -> None:
    anna.access = signed(claims_of(anna) | change)
    assert not anna.is_in()


# --- the counter of the answer that the token came with ----------------------------------------------------


def with_counter(person: Person, counter: Any) -> Person:
    """The same person, with an access token of another answer; None leaves the claim out."""
    claims = claims_of(person)
    del claims["ctr"]
    if counter is not None:
        claims["ctr"] = counter
    return replace(person, access=signed(claims))


@pytest.mark.parametrize("counter", [0, None])
def test_an_older_token_or_one_without_the_claim_is_let_in_and_proves_nothing(
    app: Flask, anna: Person, counter: int | None
) -> None:
    older = with_counter(anna, counter)
    anna.renew()
    assert older.is_in()
    assert row_of(app).used_counter == 0
    assert anna.is_in()
    assert row_of(app).used_counter == 1


def test_a_token_older_than_the_void_answers_is_a02_and_ends_nothing(
    app: Flask, anna: Person
) -> None:
    write(app, session_table, counter=9, first_void=5, last_void=6, used_counter=9)
    for counter in (4, 7, 8, 9):
        assert with_counter(anna, counter).is_in()
    for counter in (0, 3):
        problem(with_counter(anna, counter).call("GET", "/api/tasks"), 401, "A02")
    assert row_of(app)


@pytest.mark.parametrize("counter", [5, 6, 10])
def test_a_token_of_a_void_answer_or_of_a_restored_backup_ends_the_session(
    app: Flask, anna: Person, counter: int
) -> None:
    write(app, session_table, counter=9, first_void=5, last_void=6)
    problem(with_counter(anna, counter).call("GET", "/api/tasks"), 401, "A04")
    assert not stored(app, session_table)
