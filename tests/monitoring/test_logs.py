"""Log lines: who, what, how long; no secrets, and nothing that a client can write into them."""

import json
import os
import time
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

from tasks_api.monitoring.access_log import TRACEPARENT
from tests.conftest import MakeApp, Person
from tests.live import log_in, new_user, serving

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1._X", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("å", False)],
)
def test_a_request_id_is_kept_if_it_is_harmless(
    client: FlaskClient, given: str, kept: bool
) -> None:
    answer = client.get("/health/live", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is kept


def test_the_log_line_has_the_same_id(
    capsys: pytest.CaptureFixture[str], make_app: MakeApp
) -> None:
    anna = Person(make_app().test_client())
    anna.sign_up()
    anna.log_in()
    anna.client.get(
        "/api/users/info",
        headers={"Authorization": f"Bearer {anna.access}", "X-Request-ID": "find-me"},
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    line = next(line for line in lines if line.get("request_id") == "find-me")
    assert (line["route"], line["status"], line["user_id"]) == ("/api/users/info", 200, 1)


def test_no_secret_reaches_the_log(capsys: pytest.CaptureFixture[str], make_app: MakeApp) -> None:
    anna = Person(make_app().test_client())
    anna.sign_up()
    anna.log_in()
    used = anna.refresh
    anna.keep(anna.refreshed())
    anna.refreshed(used)
    anna.password = "a wrong password"
    anna.log_in()
    out = capsys.readouterr().out
    assert "refresh_retried" in out
    for secret in (anna.access, anna.refresh, used, anna.password, anna.email):
        assert secret not in out


def test_log_injection(capsys: pytest.CaptureFixture[str], make_app: MakeApp) -> None:
    anna = Person(make_app().test_client(), 'forged"}\n{"event": "login_ok')
    anna.log_in()
    anna.client.get('/x"}%0a{"event":"login_ok"}', headers={"User-Agent": "a\x1b[2J"})
    anna.refreshed('x\n{"event": "login_ok"}')
    lines = capsys.readouterr().out.splitlines()
    assert lines
    events = [json.loads(line).get("event") for line in lines]
    assert "login_ok" not in events
    assert "\x1b" not in "".join(lines)


def test_a_line_says_who_what_how_long_and_in_which_trace(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("wb") as log,
        serving(tmp_path / "instance", output=log.fileno()) as live,
    ):
        tokens = new_user(live, "logged@example.com")
        headers = {
            "Authorization": f"Bearer {tokens['accessToken']}",
            "traceparent": f"00-{TRACE}-{SPAN}-01",
        }
        assert requests.get(f"{live.url}/api/tasks?limit=5", headers=headers, timeout=30).ok
        session = live.get("/api/users/sessions", tokens["accessToken"]).json()[0]["sessionId"]
        log_in(live, "logged@example.com")
        devices = live.get("/api/users/sessions", tokens["accessToken"]).json()
        (other,) = {device["sessionId"] for device in devices} - {session}
        assert requests.delete(
            f"{live.url}/api/users/sessions/{other}", headers=headers, timeout=30
        ).ok
    lines = [
        json.loads(line)
        for line in (tmp_path / "log").read_text().splitlines()
        if line.startswith("{")
    ]
    (line,) = [line for line in lines if line.get("route") == "/api/tasks"]
    expected = {"method": "GET", "status": 200, "user_id": tokens["userId"], "session_id": session}
    assert (
        line.items() >= (expected | {"trace_id": TRACE, "span_id": SPAN, "level": "INFO"}).items()
    )
    assert line["ms"] > 0
    assert line["request_id"]
    (ended,) = [line for line in lines if line.get("event") == "session_ended"]
    assert (ended["session_id"], ended["user_id"]) == (other, tokens["userId"])


def test_on_a_terminal_a_line_is_readable(tmp_path: Path) -> None:
    master, terminal = os.openpty()
    with serving(tmp_path, workers=1, output=terminal) as live:
        live.get("/api/tasks")
        time.sleep(0.2)
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
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        ("", False),
    ],
)
def test_a_traceparent_is_kept_if_it_is_one(header: str, good: bool) -> None:
    assert bool(TRACEPARENT.fullmatch(header)) is good
