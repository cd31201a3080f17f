"""Access tokens: what they say, and every wrong kind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import time_machine
from flask import Flask

from tasks_api.config.keys import secret_key
from tests.conftest import MakeApp, Person, problem

KEY = "k" * 40


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(JWT_SECRET_KEY=KEY)


def claims(person: Person) -> dict[str, Any]:
    return jwt.decode(person.access, KEY, ["HS256"], audience="tasks-api")


def test_its_claims_are_the_designs(anna: Person) -> None:
    found = claims(anna)
    assert found.keys() - {"fresh"} == {
        "iss",
        "aud",
        "sub",
        "sid",
        "jti",
        "iat",
        "nbf",
        "exp",
        "type",
    }
    assert (found["iss"], found["aud"], found["type"], found["sub"]) == (
        "tasks-api",
        "tasks-api",
        "access",
        "1",
    )
    assert found["exp"] - found["iat"] == 900


def test_it_expires_exactly_after_its_seconds(anna: Person) -> None:
    with time_machine.travel("2026-05-01T12:00:00Z", tick=False) as clock:
        anna.log_in()
        clock.shift(899)
        assert anna.is_in()
        clock.shift(1)
        answer = anna.call("GET", "/api/tasks")
        problem(answer, 401, "A02")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        clock.shift(60)
        problem(anna.call("GET", "/api/tasks"), 401, "A02")


def test_clocks_may_differ_by_five_seconds(anna: Person) -> None:
    with time_machine.travel("2026-05-01T12:00:00Z", tick=False) as clock:
        anna.log_in()
        clock.shift(-6)
        problem(anna.call("GET", "/api/tasks"), 401, "A03")
        clock.shift(1)
        assert anna.is_in()


def test_a_token_that_was_good_before_is_asked_about_its_time_and_its_session_again(
    anna: Person,
) -> None:
    assert anna.is_in()
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=900), tick=False):
        problem(anna.call("GET", "/api/tasks"), 401, "A02")
    assert anna.is_in()
    anna.other_device().call("DELETE", "/api/users/sessions")
    problem(anna.call("GET", "/api/tasks"), 401, "A04")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_has_no_case(anna: Person, scheme: str) -> None:
    answer = anna.client.get(
        "/api/users/info", headers={"Authorization": f"{scheme} {anna.access}"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "x"])
def test_no_token_is_a01(anna: Person, header: str) -> None:
    problem(anna.client.get("/api/users/info", headers={"Authorization": header}), 401, "A01")


KID = secret_key(KEY.encode()).kid


def signed(
    payload: dict[str, Any], key: str = KEY, algorithm: str | None = "HS256", kid: str | None = KID
) -> str:
    return jwt.encode(payload, key, algorithm, headers={"kid": kid} if kid else None)


@pytest.mark.parametrize(
    "forge",
    [
        lambda good: signed(good, "x" * 40),
        lambda good: signed(good, "", None),
        lambda good: signed(good, "k" * 64, "HS512"),
        lambda good: signed(good, kid=None),
        lambda good: signed(good, kid="../../etc/passwd"),
        lambda good: signed(good, kid="' OR 1=1 --"),
        lambda good: signed(good | {"type": "refresh"}),
        lambda good: signed(good | {"iss": "somebody"}),
        lambda good: signed(good | {"aud": "somebody"}),
        lambda good: signed(good | {"sub": "-1"}),
        lambda good: signed(good | {"sub": "x"}),
        lambda good: signed(good | {"sub": "\u0661"}),
        lambda good: signed(good | {"sid": "x"}),
        lambda good: signed(good | {"sid": 5}),
        lambda good: signed(good | {"nbf": good["nbf"] + 600}),
        lambda good: signed({name: value for name, value in good.items() if name != "exp"}),
        lambda good: signed({name: value for name, value in good.items() if name != "sid"}),
        lambda good: signed({name: value for name, value in good.items() if name != "type"}),
        lambda good: signed(good)[:-2],
        lambda good: signed(good) + ".x",
        lambda _good: "x",
        lambda _good: "a.b.c",
        lambda _good: "å.ä.ö",
        lambda _good: "..",
        lambda _good: "x" * 8000,
        lambda good: signed(good) + " " + signed(good),
    ],
)
def test_every_wrong_kind_of_token_is_a03(anna: Person, forge: Any) -> None:
    header = f"Bearer {forge(claims(anna))}"
    answer = anna.client.get(
        "/api/users/info", headers={"Authorization": header.encode().decode("latin-1")}
    )
    problem(answer, 401, "A03")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "change",
    [{"sub": "2"}, {"sub": "99999999999"}, {"sid": "00000000-0000-0000-0000-000000000000"}],
)
def test_a_session_that_is_not_there_is_a04(
    anna: Person, bertil: Person, change: dict[str, str]
) -> None:
    anna.access = signed(claims(anna) | change)
    problem(anna.call("GET", "/api/users/info"), 401, "A04")


def test_a_refresh_token_is_no_access_token(anna: Person) -> None:
    anna.access = anna.refresh
    problem(anna.call("GET", "/api/users/info"), 401, "A03")
