"""Logging out, the list of devices, and the end of sessions."""

import json
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from tasks_api.auth.refresh_tokens import decode
from tasks_api.database.tables import SESSION, session_table, user_table
from tests.conftest import MakeApp, Person, invalid_grant, joined, problem, stored, write

LOGOUT = "/api/users/logout"


def test_a_logout_ends_both_tokens_at_once(anna: Person) -> None:
    assert anna.call("POST", LOGOUT).status_code == 204
    assert not anna.is_in()
    invalid_grant(anna.refreshed())
    problem(anna.call("POST", LOGOUT), 401, "A04")


def test_a_logout_ends_the_session_of_the_body_and_not_of_the_header(anna: Person) -> None:
    phone = anna.other_device()
    used = phone.refresh
    phone.renew()
    for text in ("x", "A" * 70, used):
        assert anna.call("POST", LOGOUT, json={"refreshToken": text}).status_code == 204
    assert [anna.is_in(), phone.is_in()] == [True, False]


def test_a_logout_by_refresh_token_needs_no_access_token_and_no_content_type(
    anna: Person,
) -> None:
    body = json.dumps({"refreshToken": anna.refresh})
    assert anna.client.post(LOGOUT, data=body).status_code == 204
    assert not anna.is_in()


def test_the_list_of_sessions_describes_each_device(clock: Any, anna: Person) -> None:
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


def test_a_refresh_updates_the_address_and_user_agent_of_the_device(anna: Person) -> None:
    anna.client.environ_base["HTTP_USER_AGENT"] = ""
    anna.address = "198.51.100.7"
    anna.renew()
    (session,) = anna.sessions()
    assert (session["ipAddress"], session["userAgent"]) == ("198.51.100.7", None)


def sign_out(person: Person, session_id: object = None) -> TestResponse:
    path = f"/{session_id}" if session_id else ""
    return person.call("DELETE", f"/api/users/sessions{path}")


def test_one_device_is_signed_out(anna: Person) -> None:
    phone = anna.other_device()
    session_id = str(decode(phone.refresh).session_id)
    assert sign_out(anna, session_id.upper()).status_code == 204
    assert [anna.is_in(), phone.is_in()] == [True, False]


def test_a_session_that_the_user_does_not_have_is_not_found(anna: Person, bertil: Person) -> None:
    ids = (decode(bertil.refresh).session_id, uuid.uuid4(), "malformed")
    problems = [problem(sign_out(anna, each), 404, "not_found") for each in ids]
    unknown_address = anna.client.get("/unknown").json
    assert problems == [problems[0], problems[0], unknown_address]
    assert bertil.is_in()


def test_the_sessions_of_an_inactive_user_do_not_work(app: Flask, anna: Person) -> None:
    write(app, user_table, active=False)
    assert not anna.is_in()
    invalid_grant(anna.refreshed())


def test_above_the_limit_a_session_of_the_original_or_the_least_recently_used_ends(
    make_app: MakeApp, clock: Any
) -> None:
    app = make_app(MAX_SESSIONS="2")
    laptop = joined(app)
    clock.shift(60)
    phone = laptop.other_device()
    clock.shift(60)
    laptop.renew()
    original = laptop.other_device()
    assert [laptop.is_in(), phone.is_in(), original.is_in()] == [True, False, True]
    write(app, session_table, SESSION.id == 3, started_at=None)
    tablet = laptop.other_device()
    assert [laptop.is_in(), original.is_in(), tablet.is_in()] == [True, False, True]


def test_expired_sessions_are_not_listed_and_go_at_the_next_login_of_the_user(
    clock: Any, app: Flask, anna: Person
) -> None:
    clock.shift(timedelta(days=10))
    phone = anna.other_device()
    clock.shift(timedelta(days=10))
    phone.renew()
    assert len(phone.sessions()) == 1
    phone.log_in()
    assert len(stored(app, session_table)) == 2
