"""Log lines: who, what, how long; no secrets, and nothing that a client can write into them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tasks_api.auth.refresh_tokens import decode
from tasks_api.monitoring.access_log import TRACEPARENT
from tests.conftest import MakeApp, Person, joined
from tests.live import serving

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-1._X" + "x" * 56, True),
        ("x" * 65, False),
        ("a b", False),
        ("å", False),
    ],
)
def test_a_request_id_is_kept_if_it_is_harmless(
    client: FlaskClient, given: str, kept: bool
) -> None:
    answer = client.get("/health/live", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is kept


def test_the_log_line_has_the_same_id(
    capsys: pytest.CaptureFixture[str], make_app: MakeApp
) -> None:
    anna = joined(make_app())
    trace = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
    anna.call("GET", "/api/tasks?limit=5", headers=trace | {"X-Request-ID": "find-me"})
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
        "trace_id": TRACE,
        "span_id": SPAN,
        "address": "127.0.0.1",
    }


def test_an_ended_session_is_named(capsys: pytest.CaptureFixture[str], make_app: MakeApp) -> None:
    anna = joined(make_app())
    phones = str(decode(anna.other_device().refresh).session_id)
    anna.call("DELETE", f"/api/users/sessions/{phones}")
    (ended,) = [line for line in lines(capsys) if line.get("event") == "session_ended"]
    assert (ended["session_id"], ended["user_id"]) == (phones, 1)


def test_two_holders_are_a_warning(
    capsys: pytest.CaptureFixture[str], make_app: MakeApp, clock: Any
) -> None:
    anna = joined(make_app(LOG_LEVEL="WARNING"))
    lost = anna.refreshed().get_json()["accessToken"]
    clock.shift(60)
    anna.renew()
    anna.access = lost
    assert not anna.is_in()
    last = lines(capsys)[-1]
    assert (last["event"], last["level"]) == ("session_ended", "WARNING")


def test_no_secret_reaches_the_log(capsys: pytest.CaptureFixture[str], make_app: MakeApp) -> None:
    anna = joined(make_app())
    used = anna.refresh
    anna.renew()
    anna.refreshed(used)
    guesser = Person(anna.client, password="a wrong password")
    guesser.log_in()
    out = capsys.readouterr().out
    assert "refresh_retried" in out
    assert "login_failed" in out
    for secret in (anna.access, anna.refresh, used, anna.password, guesser.password, anna.email):
        assert secret not in out


def test_log_injection(capsys: pytest.CaptureFixture[str], make_app: MakeApp) -> None:
    client = make_app().test_client()
    capsys.readouterr()  # what the start said
    eve = Person(client, 'forged"}\n{"event": "login_ok')
    eve.log_in()
    eve.refreshed('x\n{"event": "login_ok"}')
    client.get('/x"}%0a{"event":"login_ok"}', headers={"User-Agent": "a\x1b[2J"})
    out = capsys.readouterr().out
    assert "\x1b" not in out
    events = [json.loads(line).get("event") for line in out.splitlines()]
    assert events == ["login_failed", None, "refresh_refused", None, None]


def test_on_a_terminal_a_line_is_readable(tmp_path: Path) -> None:
    master, terminal = os.openpty()
    with serving(tmp_path, output=terminal) as live:
        live.get("/api/tasks")
    os.close(terminal)
    text = os.read(master, 100_000).decode()
    os.close(master)
    (line,) = [line for line in text.splitlines() if "route=/api/tasks" in line]
    assert "method=GET status=401" in line
    assert "{" not in line


@pytest.mark.parametrize(
    ("header", "good"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"01-{TRACE}-{SPAN}-01-more", True),
        (f"00-{TRACE}-{SPAN}-01-more", False),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        ("", False),
    ],
)
def test_a_traceparent_is_kept_if_it_is_one(header: str, good: bool) -> None:
    assert bool(TRACEPARENT.fullmatch(header)) is good
