"""Logging out, changing the password, and the devices that are signed in."""

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from tasks_api.auth.refresh_tokens import decode
from tasks_api.clock import now
from tasks_api.database.engine import execute, transaction
from tasks_api.database.tables import SESSION, session_table, user_table
from tests.conftest import MakeApp, Person, invalid_grant, joined, problem, stored, watch, write


def test_logout_ends_both_tokens_at_once(anna: Person) -> None:
    assert anna.call("POST", "/api/users/logout").status_code == 204
    assert not anna.is_in()
    invalid_grant(anna.refreshed())
    problem(anna.call("POST", "/api/users/logout"), 401, "A04")


def test_logout_by_refresh_token_needs_no_access_token(anna: Person) -> None:
    used = anna.refresh
    anna.renew()
    assert anna.client.post("/api/users/logout", json={"RefreshToken": used}).status_code == 204
    assert not anna.is_in()


def test_on_logout_the_body_decides(anna: Person) -> None:
    phone = anna.other_device()
    for text in ("x", "A" * 70, phone.refresh):
        answer = anna.call("POST", "/api/users/logout", json={"refreshToken": text})
        assert answer.status_code == 204
    assert anna.is_in()
    assert not phone.is_in()


def test_logout_with_neither_token_is_a01(client: FlaskClient) -> None:
    for token in (None, " "):
        problem(client.post("/api/users/logout", json={"refreshToken": token}), 401, "A01")


def test_a_logout_may_lack_a_content_type_but_not_have_another(client: FlaskClient) -> None:
    def status(data: str, kind: str | None = None) -> int:
        return client.post("/api/users/logout", data=data, content_type=kind).status_code

    assert status('{"refreshToken": "x"}') == 204
    assert status('{"refreshToken": 5}') == 400
    assert status('{"refreshToken": "x"}', "text/plain") == 415


def test_a_password_change_ends_every_session_and_opens_one(anna: Person) -> None:
    phone = anna.other_device()
    before = replace(anna)
    assert anna.keep(anna.change_password("new password")).status_code == 200
    assert [anna.is_in(), phone.is_in(), before.is_in()] == [True, False, False]
    invalid_grant(before.refreshed())
    problem(anna.log_in(), 401, "L02")
    anna.password = "new password"
    assert anna.log_in().status_code == 200


def test_a_refused_password_change_changes_nothing(anna: Person) -> None:
    problem(anna.change_password(currentPassword="wrong password"), 422, "P01")
    problem(anna.change_password(confirmPassword="another one"), 422, "S03")
    problem(anna.change_password("short"), 422, "S04")
    problem(anna.change_password("x" * 257), 400, "S01")
    assert anna.is_in()
    assert anna.log_in().status_code == 200


def test_sessions_lists_the_devices(clock: Any, anna: Person) -> None:
    clock.shift(60)
    phone = replace(anna)
    phone.log_in(headers={"User-Agent": "A phone " + "x" * 300})
    listed, here = anna.sessions()
    assert here["current"]
    assert listed == {
        "sessionId": str(decode(phone.refresh).session_id),
        "current": False,
        "startedAt": "2026-05-01T12:01:00Z",
        "lastUsedAt": "2026-05-01T12:01:00Z",
        "expiresAt": "2026-05-15T12:01:00Z",
        "userAgent": "A phone " + "x" * 247,
        "ipAddress": "127.0.0.1",
    }


def test_a_refresh_says_where_the_device_is_now(anna: Person) -> None:
    body = {"refreshToken": anna.refresh}
    place = {"REMOTE_ADDR": "198.51.100.7"}
    refreshed = anna.client.post(
        "/api/users/refresh_token",
        json=body,
        headers={"User-Agent": ""},
        environ_base=place,
    )
    anna.keep(refreshed)
    (session,) = anna.sessions()
    assert (session["ipAddress"], session["userAgent"]) == ("198.51.100.7", None)


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
    write(app, user_table, active=False)
    assert not anna.is_in()
    invalid_grant(anna.refreshed())


def test_the_least_recently_used_session_makes_room(make_app: MakeApp, clock: Any) -> None:
    laptop = joined(make_app(MAX_SESSIONS="2"))
    clock.shift(60)
    phone = laptop.other_device()
    clock.shift(60)
    laptop.renew()
    tablet = laptop.other_device()
    assert [laptop.is_in(), phone.is_in(), tablet.is_in()] == [True, False, True]


def test_rows_of_the_original_count_and_go_first(make_app: MakeApp) -> None:
    app = make_app(MAX_SESSIONS="2")
    anna = joined(app)
    row = {"user_id": 1, "token_hash": "x", "token_salt": "not base64", "ts": now()}
    with app.app_context():
        execute(insert(session_table).values(row | {"expiry_date": now().replace(year=2070)}))
    assert len(anna.sessions()) == 2
    phone = anna.other_device()
    assert [anna.is_in(), phone.is_in()] == [True, True]
    assert len(anna.sessions()) == 2


def test_thousands_of_sessions_go_in_statements_that_a_server_takes(
    app: Flask, anna: Person
) -> None:
    (row,) = stored(app, session_table)
    values = dict(zip(SESSION.keys(), row, strict=True))
    values["expiry_date"] = row.started_at - timedelta(days=1)
    del values["id"]

    @transaction
    def fill() -> None:
        for _ in range(2200):
            execute(insert(session_table).values(values | {"session_id": uuid.uuid4()}))

    with app.app_context():
        fill()
    sizes: list[int] = []
    watch(app, lambda statement: sizes.append(statement.count("?")))
    anna.log_in()
    assert max(sizes) <= 2100
    assert len(stored(app, session_table)) == 2


def test_sessions_that_ran_out_are_not_listed_and_go_at_the_next_login(
    clock: Any, app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks_api.auth.users.PURGED_AT_LOGIN", 0)
    clock.shift(timedelta(days=10))
    phone = anna.other_device()
    clock.shift(timedelta(days=10))
    phone.renew()
    assert len(phone.sessions()) == 1
    phone.log_in()
    assert len(stored(app, session_table)) == 2
