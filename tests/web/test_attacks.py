"""Attacks, each under its name. Wrong access tokens are in auth/test_access.py, forged keys in auth/test_keys.py,
races in test_live.py, histories with a thief in auth/test_histories.py."""

import itertools
import time
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tasks_api.auth.refresh_tokens import decode
from tasks_api.database.engine import fetch_all
from tasks_api.models import users
from tests.conftest import Person, problem
from tests.live import PASSWORD

METACHARACTERS = [
    "' OR '1'='1",
    "'; DROP TABLE [User]; --",
    '" OR ""="',
    "%' --",
    "\\'; --",
    "1; WAITFOR DELAY '0:0:5'",
]


def test_mass_assignment(app: Flask, anna: Person, bertil: Person) -> None:
    more = {
        "userId": bertil.user_id,
        "UserId": bertil.user_id,
        "user_id": bertil.user_id,
        "id": 77,
        "active": False,
    }
    task = anna.call("POST", "/api/tasks", json={"name": "x"} | more).get_json()
    assert task["id"] != 77
    anna.call(
        "PUT", "/api/tasks", json={"name": "y", "isCompleted": True} | more | {"id": task["id"]}
    )
    anna.call("PATCH", f"/api/tasks/{task['id']}", json=more)
    assert bertil.call("GET", "/api/tasks").get_json() == []
    assert len(anna.call("GET", "/api/tasks").get_json()) == 1
    eve = Person(anna.client, "eve@example.com")
    assert eve.sign_up(
        **more, passwordSalt="x", sessionId="x", Password="ignored-or-last"
    ).status_code in (201, 422)
    with app.app_context():
        assert all(row.active for row in fetch_all(select(users.c.active)))


@pytest.mark.parametrize("text", METACHARACTERS)
def test_sql_metacharacters_everywhere(anna: Person, text: str) -> None:
    added = anna.call("POST", "/api/tasks", json={"name": text})
    assert added.get_json()["name"] == text
    refused = [
        anna.client.post("/api/users/login", json={"email": text, "password": text}),
        anna.client.post(
            "/api/users/login", json={"email": anna.email + text[:10], "password": PASSWORD}
        ),
        anna.refreshed(text),
        anna.call("GET", f"/api/tasks/{text}"),
        anna.call("GET", "/api/tasks", query_string={"after": text}),
        anna.call("GET", "/api/tasks", query_string={"isCompleted": text}),
        anna.call("DELETE", f"/api/users/sessions/{text}"),
        anna.sign_up(email=text),
        anna.client.get("/api/tasks", headers={"Authorization": f"Bearer {text}"}),
    ]
    assert {answer.status_code for answer in refused} <= {400, 401, 404}
    assert [task["name"] for task in anna.call("GET", "/api/tasks").get_json()] == [text]


@pytest.mark.parametrize("evil", ["a\r\nSet-Cookie: x=1", "a\nX-Evil: 1", "a\u2028X-Evil: 1"])
def test_header_injection(anna: Person, evil: str) -> None:
    """What comes back in a header comes as it was sent, or not at all."""
    encoded = quote(evil)
    answers = {
        anna.call("GET", f"/api/tasks?limit=1&after={encoded}"): 400,
        anna.call("POST", "/api/tasks", json={"name": evil}): 201,
        anna.client.get("/health/live", headers={"X-Request-ID": encoded}): 200,
        anna.client.get("/health/live", headers={"Origin": encoded}): 200,
        anna.client.get(f"/{encoded}"): 404,
    }
    for answer, status in answers.items():
        assert answer.status_code == status
        assert not {"Set-Cookie", "X-Evil"} & set(answer.headers.keys())
        assert encoded not in str(answer.headers)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("email", "a" * 48 + "@"),
        ("email", "a@" + "a." * 24),
        ("email", '"' + "\\" * 40 + "@b.se"),
        ("ts", "2026-01-01T00:00:00." + "0" * 60_000),
        ("ts", "2" * 60_000),
        ("firstName", " " * 60_000),
    ],
)
def test_regular_expression_denial_of_service(client: FlaskClient, field: str, text: str) -> None:
    started = time.perf_counter()
    Person(client).sign_up(**{field: text})
    assert time.perf_counter() - started < 5


def test_regular_expression_denial_of_service_by_headers(client: FlaskClient) -> None:
    started = time.perf_counter()
    for header in ("Authorization", "X-Request-ID", "Content-Type", "Accept", "User-Agent"):
        client.post("/api/tasks", headers={header: "Bearer " + "a." * 4000}, data=b"x")
    assert time.perf_counter() - started < 5


def test_duplicate_keys(anna: Person) -> None:
    """Parsers that disagree about which one counts are how checks are bypassed: the last one does, everywhere."""
    data = b'{"name": "first", "NAME": "", "Name": "last"}'
    assert (
        anna.call("POST", "/api/tasks", data=data, content_type="application/json").get_json()[
            "name"
        ]
        == "last"
    )


def test_session_fixation(anna: Person, bertil: Person) -> None:
    """Nothing that a client brings along to a login becomes part of its session."""
    headers = {"Authorization": f"Bearer {anna.access}", "Cookie": f"session={anna.refresh}"}
    body = {
        "email": bertil.email,
        "password": bertil.password,
        "refreshToken": anna.refresh,
        "sessionId": "x",
    }
    answer = bertil.client.post("/api/users/login", json=body, headers=headers)
    known = {decode(person.refresh).session_id for person in (anna, bertil)}
    assert decode(answer.get_json()["refreshToken"]).session_id not in known
    assert "Set-Cookie" not in answer.headers
    assert bertil.keep(answer).status_code == 200
    assert bertil.call("GET", "/api/users/info").get_json()["email"] == bertil.email


def test_replay_across_sessions_and_users(anna: Person, bertil: Person) -> None:
    phone = anna.other_device()
    for one, other in itertools.permutations((anna, phone, bertil), 2):
        mine, theirs = (decode(person.refresh) for person in (one, other))
        mixed = str(type(mine)(theirs.session_id, mine.counter, mine.mac))
        problem(one.refreshed(mixed), 400, "invalid_grant")
    problem(anna.refreshed(anna.access), 400, "invalid_grant")
    assert [person.is_in() for person in (anna, phone, bertil)] == [True] * 3


def test_clickjacking_sniffing_and_caching(anna: Person, client: FlaskClient) -> None:
    for path in ("/api/tasks", "/nothing", "/health/live", "/openapi.json", "/metrics"):
        headers = anna.call("GET", path).headers
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Strict-Transport-Security" not in headers
    assert "frame-ancestors 'none'" in client.get("/swagger").headers["Content-Security-Policy"]
    for answer in (anna.log_in(), anna.refreshed(), anna.call("GET", "/api/users/info")):
        assert answer.headers["Cache-Control"] == "no-store"
    hosts = {
        "tasks.example": "max-age=31536000",
        "localhost": None,
        "127.0.0.9:1": None,
        "[::1]": None,
    }
    for host, value in hosts.items():
        secure: Any = client.get("/health/live", base_url=f"https://{host}")
        assert secure.headers.get("Strict-Transport-Security") == value
