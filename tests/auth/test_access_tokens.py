"""Access tokens: what they say, and every wrong kind."""

import time
from typing import Any

import jwt
import pytest
from flask import Flask

from tests.auth.conftest import KEY, claims_of, signed
from tests.conftest import MakeApp, Person, joined, problem


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(JWT_SECRET_KEY=KEY)


def test_its_claims_are_the_designs(anna: Person) -> None:
    found = claims_of(anna)
    names = {"iss", "aud", "sub", "sid", "ctr", "jti", "iat", "nbf", "exp", "type", "fresh"}
    assert found.keys() == names
    known = {"iss": "tasks-api", "aud": "tasks-api", "sub": "1", "type": "access"}
    assert found.items() >= known.items()
    assert found["exp"] - found["iat"] == 900


def test_it_expires_exactly_after_its_seconds(clock: Any, anna: Person) -> None:
    clock.shift(899)
    assert anna.is_in()
    for seconds in (1, 60):  # within the clock skew, and beyond it
        clock.shift(seconds)
        answer = anna.call("GET", "/api/tasks")
        problem(answer, 401, "A02")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_clocks_may_differ_by_five_seconds(clock: Any, anna: Person) -> None:
    clock.shift(-6)
    problem(anna.call("GET", "/api/tasks"), 401, "A03")
    clock.shift(1)
    assert anna.is_in()


def test_the_scheme_has_no_case(anna: Person) -> None:
    headers = {"Authorization": f"bEARER {anna.access}"}
    assert anna.client.get("/api/users/info", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
    ],
)
def test_no_token_is_a01(anna: Person, header: str) -> None:
    problem(anna.client.get("/api/users/info", headers={"Authorization": header}), 401, "A01")


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"type": "refresh"},
    {"iss": "somebody"},
    {"aud": "somebody"},
    {"sub": "-1"},
    {"sub": "\u0661"},
    {"sub": "01"},
    {"sub": "9" * 5000},
    {"exp": float("inf")},
    {"sid": "x"},
    {"sid": 5},
    {"nbf": 2**32},
]


def test_every_wrong_kind_of_token_is_a03(anna: Person) -> None:
    good = claims_of(anna)
    untyped = claims_of(anna)
    del untyped["type"]
    wrong = [
        *(signed(good | change) for change in WRONG_CLAIMS),
        signed(untyped),
        signed(good, "x" * 40),
        signed(good, "", None),
        signed(good, algorithm="HS512"),
        signed(good, kid="../../etc/passwd"),
        jwt.encode(good, KEY, "HS256"),
        signed(good) + " " + signed(good),
        anna.refresh,
        "a.b.c",
        "å.ä.ö",
    ]
    for anna.access in wrong:
        answer = anna.call("GET", "/api/users/info")
        problem(answer, 401, "A03")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_only_what_is_whole_and_names_a_key_of_ours_is_called_forged(
    capsys: pytest.CaptureFixture[str], make_app: MakeApp
) -> None:
    anna = joined(make_app(JWT_SECRET_KEY=KEY))
    good = anna.access
    header, _, signature = good.split(".")
    other = signed(claims_of(anna) | {"sub": "2"}).split(".")[1]
    refused = [
        *("null", "undefined", f'"{good}"', f"{good}, {good}"),
        *(good[:length] for length in (-3, -43, -44)),
        signed(claims_of(anna), kid="somebody's"),
        signed(claims_of(anna) | {"nbf": time.time() + 7}),
        jwt.encode({"nameid": "1"}, "the original's key, which is its own", "HS256"),
    ]
    forged = [signed(claims_of(anna), "x" * 40), f"{header}.{other}.{signature}"]
    for tokens, event in ((refused, "access_token_refused"), (forged, "access_token_forged")):
        for anna.access in tokens:
            capsys.readouterr()
            problem(anna.call("GET", "/api/users/info"), 401, "A03")
            said = capsys.readouterr().out
            assert f'"{event}"' in said, anna.access
            assert good not in said


@pytest.mark.parametrize(
    "change",
    [
        {"sub": "2"},
        {"sub": "99999999999"},
        {"sid": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_a_session_that_is_not_there_is_a04(
    anna: Person, bertil: Person, change: dict[str, str]
) -> None:
    anna.access = signed(claims_of(anna) | change)
    assert not anna.is_in()
