"""Logging out, changing the password, and the devices that are signed in."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from tasks_api.auth.passwords import Hasher
from tasks_api.clock import now
from tasks_api.database.engine import execute, fetch_all
from tasks_api.models import refresh_tokens, users
from tests.conftest import MakeApp, Person, problem
from tests.live import PASSWORD


def test_logout_ends_both_tokens_at_once(anna: Person) -> None:
    assert anna.call("POST", "/api/users/logout").status_code == 204
    problem(anna.call("GET", "/api/tasks"), 401, "A04")
    problem(anna.refreshed(), 400, "invalid_grant")
    problem(anna.call("POST", "/api/users/logout"), 401, "A04")


def test_logout_by_refresh_token_needs_no_access_token(anna: Person) -> None:
    used = anna.refresh
    anna.keep(anna.refreshed())
    assert anna.client.post("/api/users/logout", json={"RefreshToken": used}).status_code == 204
    assert not anna.is_in()


def test_on_logout_the_body_decides(anna: Person) -> None:
    phone = anna.other_device()
    assert (
        anna.call("POST", "/api/users/logout", json={"refreshToken": phone.refresh}).status_code
        == 204
    )
    assert anna.is_in()
    assert not phone.is_in()


@pytest.mark.parametrize("text", ["x", "A" * 70, "å"])
def test_logout_with_a_strange_refresh_token_changes_nothing(anna: Person, text: str) -> None:
    assert anna.call("POST", "/api/users/logout", json={"refreshToken": text}).status_code == 204
    assert anna.is_in()


@pytest.mark.parametrize("body", [None, {}, {"refreshToken": None}, {"refreshToken": " "}])
def test_logout_with_neither_token_is_a01(client: FlaskClient, body: Any) -> None:
    options = {} if body is None else {"json": body}
    problem(client.post("/api/users/logout", **options), 401, "A01")


def test_a_malformed_logout_is_r01(anna: Person) -> None:
    problem(anna.call("POST", "/api/users/logout", json={"refreshToken": 5}), 400, "R01")
    problem(
        anna.call("POST", "/api/users/logout", data="{", content_type="application/json"),
        400,
        "R01",
    )
    problem(
        anna.call("POST", "/api/users/logout", data="a=1", content_type="text/plain"),
        415,
        "unsupported_media_type",
    )


def test_logout_takes_a_body_without_content_type(anna: Person) -> None:
    assert anna.client.post("/api/users/logout", data='{"refreshToken": "x"}').status_code == 204


def change_password(person: Person, **changes: Any) -> Any:
    body = {
        "currentPassword": PASSWORD,
        "newPassword": "new password",
        "confirmPassword": "new password",
    }
    return person.call("PUT", "/api/users/password", json=body | changes)


def test_a_password_change_ends_every_session_and_opens_one(anna: Person) -> None:
    phone, before = (
        anna.other_device(),
        Person(anna.client, access=anna.access, refresh=anna.refresh),
    )
    assert anna.keep(change_password(anna)).status_code == 200
    assert anna.is_in()
    assert not phone.is_in()
    assert not before.is_in()
    problem(before.refreshed(), 400, "invalid_grant")
    problem(anna.other_device().log_in(), 401, "L02")
    anna.password = "new password"
    assert anna.log_in().status_code == 200


def test_a_refused_password_change_changes_nothing(anna: Person) -> None:
    problem(change_password(anna, currentPassword="wrong password"), 422, "P01")
    problem(change_password(anna, confirmPassword="another one"), 422, "S03")
    problem(change_password(anna, newPassword="short", confirmPassword="short"), 422, "S04")
    problem(change_password(anna, newPassword="x" * 257), 400, "S01")
    problem(change_password(anna, currentPassword=None), 400, "S01")
    assert anna.is_in()
    assert anna.log_in().status_code == 200


def test_a_password_change_that_comes_second_is_a04(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Hasher.verify

    def verify_then_change(self: Any, password: str, stored: Any) -> bool:
        good: bool = verify(self, password, stored)
        with app.app_context():
            execute(update(users).values(password="changed meanwhile"))
        return good

    monkeypatch.setattr(Hasher, "verify", verify_then_change)
    problem(change_password(anna), 401, "A04")


def test_sessions_lists_the_devices(anna: Person) -> None:
    with time_machine.travel(now() + timedelta(minutes=1)):
        anna.client.post(
            "/api/users/login",
            json={"email": anna.email, "password": PASSWORD},
            headers={"User-Agent": "A phone " + "x" * 300},
        )
    listed = anna.call("GET", "/api/users/sessions").get_json()
    names = {
        "sessionId",
        "current",
        "startedAt",
        "lastUsedAt",
        "expiresAt",
        "userAgent",
        "ipAddress",
    }
    assert [set(entry) for entry in listed] == [names, names]
    assert [entry["current"] for entry in listed] == [False, True]
    assert listed[0]["userAgent"].startswith("A phone")
    assert len(listed[0]["userAgent"]) == 255
    assert listed[0]["ipAddress"] == "127.0.0.1"


def test_a_device_is_signed_out(anna: Person) -> None:
    phone = anna.other_device()
    listed = phone.call("GET", "/api/users/sessions").get_json()
    current = next(entry["sessionId"] for entry in listed if entry["current"])
    assert anna.call("DELETE", f"/api/users/sessions/{current.upper()}").status_code == 204
    assert not phone.is_in()
    assert anna.is_in()


def test_somebody_elses_session_is_not_found(anna: Person, bertil: Person) -> None:
    own = bertil.call("GET", "/api/users/sessions").get_json()[0]["sessionId"]
    answers = [
        anna.call("DELETE", f"/api/users/sessions/{wanted}")
        for wanted in (own, str(uuid.uuid4()), "nonsense")
    ]
    assert len({str(problem(answer, 404, "not_found")) for answer in answers}) == 1
    assert bertil.is_in()


def test_all_devices_are_signed_out(anna: Person, bertil: Person) -> None:
    phone = anna.other_device()
    assert anna.call("DELETE", "/api/users/sessions").status_code == 204
    assert not anna.is_in()
    assert not phone.is_in()
    assert bertil.is_in()


def test_a_deactivated_user_is_out_at_once(app: Flask, anna: Person) -> None:
    with app.app_context():
        execute(update(users).values(active=False))
    problem(anna.call("GET", "/api/tasks"), 401, "A04")
    problem(anna.refreshed(), 400, "invalid_grant")


def test_the_least_recently_used_session_makes_room(make_app: MakeApp) -> None:
    app = make_app(MAX_SESSIONS="2")
    laptop = Person(app.test_client())
    laptop.sign_up()
    with time_machine.travel("2026-05-01T12:00:00Z", tick=False) as clock:
        laptop.log_in()
        clock.shift(60)
        phone = laptop.other_device()
        clock.shift(60)
        laptop.keep(laptop.refreshed())
        clock.shift(60)
        tablet = laptop.other_device()
        assert [laptop.is_in(), phone.is_in(), tablet.is_in()] == [True, False, True]


def test_rows_of_the_original_count_and_go_first(make_app: MakeApp) -> None:
    app = make_app(MAX_SESSIONS="2")
    anna = Person(app.test_client())
    anna.sign_up()
    anna.log_in()
    with app.app_context():
        execute(
            insert(refresh_tokens).values(
                user_id=1,
                token_hash="x",
                token_salt="not base64",
                ts=now(),
                expiry_date=now().replace(year=2070),
            )
        )
    assert len(anna.call("GET", "/api/users/sessions").get_json()) == 2
    anna.other_device()
    assert anna.is_in()
    assert len(anna.call("GET", "/api/users/sessions").get_json()) == 2


def test_sessions_that_ran_out_are_not_listed_and_go_at_the_next_login(
    app: Flask, anna: Person
) -> None:
    with app.app_context():
        execute(
            insert(refresh_tokens).values(
                user_id=1, token_hash="x", token_salt="x", ts=now(), expiry_date=now()
            )
        )
        execute(
            update(refresh_tokens)
            .where(refresh_tokens.c.token_salt == "x")
            .values(expiry_date=now().replace(year=2020))
        )
    assert len(anna.call("GET", "/api/users/sessions").get_json()) == 1
    anna.other_device()
    with app.app_context():
        assert not fetch_all(select(refresh_tokens).where(refresh_tokens.c.token_salt == "x"))
