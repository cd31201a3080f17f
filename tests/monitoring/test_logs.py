"""Log lines: who, what, how long; no secrets, and no text of a client that could pass for a line."""

import json
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient

from tasks_api.auth import users
from tasks_api.auth.refresh_tokens import decode
from tasks_api.tasks import service
from tests.conftest import MakeApp, Person, joined

Capture = pytest.CaptureFixture[str]


def lines(capsys: Capture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1._X" + "x" * 56, True), ("x" * 65, False), ("a b", False), ("å", False)],
)
def test_a_request_id_is_kept_if_it_is_harmless(
    client: FlaskClient, given: str, kept: bool
) -> None:
    answer = client.get("/health/live", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is kept


def test_the_line_of_a_request_has_its_id(capsys: Capture, make_app: MakeApp) -> None:
    anna = joined(make_app())
    anna.call("GET", "/api/tasks?limit=5", headers={"X-Request-ID": "find-me"})
    line = lines(capsys)[-1]
    assert line.pop("ms") > 0
    assert line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "tasks_api.access",
        "message": "request",
        "route": "/api/tasks",
        "method": "GET",
        "status": 200,
        "user_id": 1,
        "session_id": str(decode(anna.refresh).session_id),
        "request_id": "find-me",
        "address": "127.0.0.1",
    }


def test_the_line_of_an_ended_session_names_it(capsys: Capture, make_app: MakeApp) -> None:
    anna = joined(make_app())
    phone = str(decode(anna.other_device().refresh).session_id)
    anna.call("DELETE", f"/api/users/sessions/{phone}")
    (ended,) = [line for line in lines(capsys) if line.get("event") == "session_ended"]
    assert (ended["session_id"], ended["user_id"]) == (phone, 1)


def test_an_event_about_another_user_does_not_get_the_callers_session(
    capsys: Capture, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = joined(app := make_app())
    other = joined(app, "bertil@example.com").user_id
    act = partial(users.set_active, other, False)
    monkeypatch.setattr(service, "list_tasks", lambda *_, **__: act() or [])
    assert anna.tasks() == []
    (ended,) = [line for line in lines(capsys) if line.get("reason") == "deactivated"]
    assert (ended["user_id"], "session_id" in ended) == (other, False)


def test_a_session_that_two_hold_ends_with_a_warning(
    capsys: Capture, make_app: MakeApp, clock: Any
) -> None:
    anna = joined(make_app(LOG_LEVEL="WARNING"))
    lost = anna.refreshed().get_json()["accessToken"]
    clock.shift(61)
    anna.renew()
    anna.access = lost
    assert not anna.is_in()
    last = lines(capsys)[-1]
    assert (last["event"], last["level"]) == ("session_ended", "WARNING")


def test_no_secret_reaches_the_log(capsys: Capture, make_app: MakeApp) -> None:
    anna = joined(make_app())
    used = anna.refresh
    anna.renew()
    anna.refreshed(used)
    guesser = Person(anna.client, password="a wrong password")
    guesser.log_in()
    log = capsys.readouterr().err
    assert "refresh_retried" in log
    assert "login_failed" in log
    for secret in (anna.access, anna.refresh, used, anna.password, guesser.password, anna.email):
        assert secret not in log


def test_log_injection(capsys: Capture, make_app: MakeApp) -> None:
    client = make_app().test_client()
    capsys.readouterr()
    eve = Person(client, 'forged"}\n{"event": "login_ok')
    eve.log_in()
    eve.refreshed('x\n{"event": "login_ok"}')
    client.get('/x"}%0a{"event":"login_ok"}', headers={"User-Agent": "a\x1b[2J"})
    log = capsys.readouterr().err
    assert "\x1b" not in log
    events = [json.loads(line).get("event") for line in log.splitlines()]
    assert events == ["login_failed", None, "refresh_refused", None, None]
