"""Attacks, each under its name. Wrong access tokens are in auth/test_access.py, forged keys in auth/test_keys.py,
races in test_live.py, histories with a thief in auth/test_histories.py."""

import itertools
import json
import statistics
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tasks_api.auth import passwords
from tasks_api.auth.tokens import decode
from tasks_api.database import db, execute, fetch_all
from tasks_api.models import RefreshToken, User

from .conftest import PASSWORD, MakeApp, Person, problem

METACHARACTERS = [
    "' OR '1'='1",
    "'; DROP TABLE [User]; --",
    '" OR ""="',
    "%' --",
    "\\'; --",
    "1; WAITFOR DELAY '0:0:5'",
]


def test_idor_on_every_task_verb(anna: Person, bertil: Person) -> None:
    task = anna.call("POST", "/api/tasks", json={"name": "Anna's"}).get_json()
    whole = {"id": task["id"], "name": "stolen", "isCompleted": True}
    path = f"/api/tasks/{task['id']}"
    for method, where, body in (
        ("GET", path, None),
        ("PATCH", path, {"name": "stolen"}),
        ("PATCH", path, {}),
        ("PUT", "/api/tasks", whole),
        ("DELETE", path, None),
    ):
        problem(bertil.call(method, where, json=body), 404, "T01")
    assert bertil.call("GET", "/api/tasks").get_json() == []
    assert anna.call("GET", path).get_json() == task


def test_mass_assignment(app: Flask, anna: Person, bertil: Person) -> None:
    more = {"userId": bertil.user_id, "UserId": bertil.user_id, "user_id": bertil.user_id, "id": 77, "active": False}
    task = anna.call("POST", "/api/tasks", json={"name": "x"} | more).get_json()
    assert task["id"] != 77
    anna.call("PUT", "/api/tasks", json={"name": "y", "isCompleted": True} | more | {"id": task["id"]})
    anna.call("PATCH", f"/api/tasks/{task['id']}", json=more)
    assert bertil.call("GET", "/api/tasks").get_json() == []
    assert len(anna.call("GET", "/api/tasks").get_json()) == 1
    eve = Person(anna.client, "eve@example.com")
    assert eve.sign_up(**more, passwordSalt="x", sessionId="x", Password="ignored-or-last").status_code in (201, 422)
    with app.app_context():
        assert all(row.active for row in fetch_all(select(User.c.active)))


@pytest.mark.parametrize("text", METACHARACTERS)
def test_sql_metacharacters_everywhere(anna: Person, text: str) -> None:
    added = anna.call("POST", "/api/tasks", json={"name": text})
    assert added.get_json()["name"] == text
    refused = [
        anna.client.post("/api/users/login", json={"email": text, "password": text}),
        anna.client.post("/api/users/login", json={"email": anna.email + text[:10], "password": PASSWORD}),
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


@pytest.mark.parametrize("evil", ["a\r\nSet-Cookie: x=1", "a\nX-Evil: 1", "a\u2028X-Evil: 1", "%0d%0aX-Evil: 1"])
def test_header_injection(anna: Person, evil: str) -> None:
    answers = [
        anna.call("GET", f"/api/tasks?after={evil}"),
        anna.call("POST", "/api/tasks", json={"name": evil}),
        anna.client.get("/health/live", headers={"X-Request-ID": evil.replace("\r", "").replace("\n", "")}),
        anna.client.get(f"/{evil}"),
    ]
    for answer in answers:
        assert "Set-Cookie" not in answer.headers
        assert "X-Evil" not in answer.headers
        assert not any("\n" in value or "\r" in value for value in answer.headers.values())


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


@pytest.mark.parametrize(
    "data",
    [b"[" * 60_000 + b"]" * 5_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b'{"name": 1' + b"0" * 60_000 + b"}"],
)
def test_json_bombs(anna: Person, data: bytes) -> None:
    problem(anna.call("POST", "/api/tasks", data=data, content_type="application/json"), 400, "T00")


def test_duplicate_keys(anna: Person) -> None:
    """Parsers that disagree about which one counts are how checks are bypassed: the last one does, everywhere."""
    data = b'{"name": "first", "NAME": "", "Name": "last"}'
    assert anna.call("POST", "/api/tasks", data=data, content_type="application/json").get_json()["name"] == "last"


def test_enumeration_by_body(app: Flask, anna: Person, bertil: Person) -> None:
    with app.app_context():
        execute(db.update(User).where(User.c.email == bertil.email).values(active=False))
    answers = [Person(anna.client, email, "wrong password").log_in() for email in (anna.email, "nobody@x.se")]
    answers.append(Person(anna.client, bertil.email).log_in())
    bodies = [problem(answer, 401, "L02") for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert len({tuple(sorted(answer.headers.keys())) for answer in answers}) == 1


def test_enumeration_by_time(make_app: MakeApp) -> None:
    """Counted in iterations of the hash, which are nearly all of the time, and not in seconds."""
    app = make_app(PASSWORD_ITERATIONS="200000")
    anna = Person(app.test_client())
    anna.sign_up()
    spent: list[int] = []
    derive = passwords._derive

    def counted(password: str, salt: bytes, iterations: int) -> bytes:
        spent.append(iterations)
        return derive(password, salt, 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_derive", counted)
        totals = []
        for email, password in ((anna.email, "wrong"), ("nobody@example.com", "wrong"), (anna.email.upper(), "wrong")):
            spent.clear()
            Person(app.test_client(), email, password).log_in()
            totals.append(sum(spent))
    assert statistics.pvariance(totals) == 0
    assert totals[0] >= 200_000


def test_refresh_token_forgeries_bit_by_bit(app: Flask, anna: Person) -> None:
    token = decode(anna.refresh)
    raw = token.session_id.bytes + token.counter.to_bytes(4, "big") + token.mac
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        forged = urlsafe_b64encode(changed).decode().rstrip("=")
        problem(anna.refreshed(forged), 400, "invalid_grant")
    with app.app_context():
        assert [row.counter for row in fetch_all(select(RefreshToken))] == [0]
    assert anna.refreshed().status_code == 200


def test_session_fixation(anna: Person, bertil: Person) -> None:
    """Nothing that a client brings along to a login becomes part of its session."""
    headers = {"Authorization": f"Bearer {anna.access}", "Cookie": f"session={anna.refresh}"}
    body = {"email": bertil.email, "password": bertil.password, "refreshToken": anna.refresh, "sessionId": "x"}
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
    secure: Any = client.get("/health/live", base_url="https://localhost")
    assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"
