"""Logging out, changing the password, and the devices that are signed in."""

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from tasks_api.auth.passwords import Hasher
from tasks_api.auth.refresh_tokens import decode
from tasks_api.clock import now
from tasks_api.database.engine import execute, fetch_all
from tasks_api.models import refresh_tokens, users
from tests.conftest import MakeApp, Person, joined, problem
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
    for text in ("x", "A" * 70, phone.refresh):
        answer = anna.call("POST", "/api/users/logout", json={"refreshToken": text})
        assert answer.status_code == 204
    assert anna.is_in()
    assert not phone.is_in()


@pytest.mark.parametrize(
    "body",
    [
        None,
        {"refreshToken": None},
        {"refreshToken": " "},
    ],
)
def test_logout_with_neither_token_is_a01(client: FlaskClient, body: Any) -> None:
    problem(client.post("/api/users/logout", json=body), 401, "A01")


def test_a_logout_may_lack_a_content_type_but_not_have_another(client: FlaskClient) -> None:
    def status(data: str, kind: str | None = None) -> int:
        return client.post("/api/users/logout", data=data, content_type=kind).status_code

    assert status('{"refreshToken": "x"}') == 204
    assert status('{"refreshToken": 5}') == 400
    assert status('{"refreshToken": "x"}', "text/plain") == 415


def change_password(person: Person, **changes: Any) -> Any:
    body = {
        "currentPassword": PASSWORD,
        "newPassword": "new password",
        "confirmPassword": "new password",
    }
    return person.call("PUT", "/api/users/password", json=body | changes)


def test_a_password_change_ends_every_session_and_opens_one(anna: Person) -> None:
    phone = anna.other_device()
    before = replace(anna)
    assert anna.keep(change_password(anna)).status_code == 200
    assert [anna.is_in(), phone.is_in(), before.is_in()] == [True, False, False]
    problem(before.refreshed(), 400, "invalid_grant")
    problem(anna.log_in(), 401, "L02")
    anna.password = "new password"
    assert anna.log_in().status_code == 200


def test_a_refused_password_change_changes_nothing(anna: Person) -> None:
    problem(change_password(anna, currentPassword="wrong password"), 422, "P01")
    problem(change_password(anna, confirmPassword="another one"), 422, "S03")
    problem(change_password(anna, newPassword="short", confirmPassword="short"), 422, "S04")
    problem(change_password(anna, newPassword="x" * 257), 400, "S01")
    assert anna.is_in()
    assert anna.log_in().status_code == 200


def test_a_password_that_changes_while_it_is_verified_lets_nobody_in(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change_meanwhile(*_args: object) -> bool:
        with app.app_context():
            execute(update(users).values(password=uuid.uuid4().hex))
        return True

    monkeypatch.setattr(Hasher, "verify", change_meanwhile)
    problem(anna.log_in(), 401, "L02")
    problem(change_password(anna), 401, "A04")


def test_sessions_lists_the_devices(anna: Person) -> None:
    with time_machine.travel(now() + timedelta(minutes=1)):
        replace(anna).log_in(headers={"User-Agent": "A phone " + "x" * 300})
    phone, here = anna.sessions()
    names = {
        "sessionId",
        "current",
        "startedAt",
        "lastUsedAt",
        "expiresAt",
        "userAgent",
        "ipAddress",
    }
    assert phone.keys() == here.keys() == names
    assert (phone["current"], here["current"]) == (False, True)
    assert phone["userAgent"] == "A phone " + "x" * 247
    assert phone["ipAddress"] == "127.0.0.1"


def test_a_device_is_signed_out(anna: Person) -> None:
    phone = anna.other_device()
    wanted = str(decode(phone.refresh).session_id).upper()
    assert anna.call("DELETE", f"/api/users/sessions/{wanted}").status_code == 204
    assert not phone.is_in()
    assert anna.is_in()


def test_somebody_elses_session_is_not_found(anna: Person, bertil: Person) -> None:
    answers = [
        anna.call("DELETE", f"/api/users/sessions/{wanted}")
        for wanted in (decode(bertil.refresh).session_id, uuid.uuid4(), "nonsense")
    ]
    assert len({str(problem(answer, 404, "not_found")) for answer in answers}) == 1
    assert bertil.is_in()


def test_all_devices_are_signed_out(anna: Person, bertil: Person) -> None:
    phone = anna.other_device()
    assert anna.call("DELETE", "/api/users/sessions").status_code == 204
    assert [anna.is_in(), phone.is_in(), bertil.is_in()] == [False, False, True]


def test_a_deactivated_user_is_out_at_once(app: Flask, anna: Person) -> None:
    with app.app_context():
        execute(update(users).values(active=False))
    problem(anna.call("GET", "/api/tasks"), 401, "A04")
    problem(anna.refreshed(), 400, "invalid_grant")


def test_the_least_recently_used_session_makes_room(make_app: MakeApp) -> None:
    with time_machine.travel("2026-05-01T12:00:00Z", tick=False) as clock:
        laptop = joined(make_app(MAX_SESSIONS="2"))
        clock.shift(60)
        phone = laptop.other_device()
        clock.shift(60)
        laptop.keep(laptop.refreshed())
        clock.shift(60)
        tablet = laptop.other_device()
        assert [laptop.is_in(), phone.is_in(), tablet.is_in()] == [True, False, True]


def test_rows_of_the_original_count_and_go_first(make_app: MakeApp) -> None:
    app = make_app(MAX_SESSIONS="2")
    anna = joined(app)
    row = {"user_id": 1, "token_hash": "x", "token_salt": "not base64", "ts": now()}
    with app.app_context():
        execute(insert(refresh_tokens).values(row | {"expiry_date": now().replace(year=2070)}))
    assert len(anna.sessions()) == 2
    phone = anna.other_device()
    assert [anna.is_in(), phone.is_in()] == [True, True]
    assert len(anna.sessions()) == 2


def test_sessions_that_ran_out_are_not_listed_and_go_at_the_next_login(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks_api.auth.users.PURGED_AT_LOGIN", 0)
    with time_machine.travel("2020-05-01T12:00:00Z"):
        anna.other_device()
    assert len(anna.sessions()) == 1
    anna.other_device()
    with app.app_context():
        assert len(fetch_all(select(refresh_tokens))) == 2
