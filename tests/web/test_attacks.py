"""Attacks, each under its name. Wrong access tokens are in auth/test_access_tokens.py, forged refresh tokens in
auth/test_refresh.py, races in serving/test_concurrency.py, histories with a thief in auth/test_histories.py."""

import socket
import time
from urllib.parse import quote, urlsplit

import pytest
from flask.testing import FlaskClient

from tasks_api.auth.refresh_tokens import decode
from tests.conftest import Person
from tests.live import Live, bearer, new_user


def test_mass_assignment(anna: Person, bertil: Person) -> None:
    more = {"UserId": bertil.user_id, "user_id": bertil.user_id, "id": 77, "active": False}
    task = anna.call("POST", "/api/tasks", json={"name": "x"} | more).get_json()
    assert task["id"] != 77
    anna.call("PATCH", f"/api/tasks/{task['id']}", json=more)
    anna.call("PUT", "/api/tasks", json=more | task)
    assert anna.tasks() == [task]
    assert bertil.tasks() == []
    eve = Person(anna.client, "eve@example.com")
    assert eve.sign_up(**more, passwordSalt="x", password_salt="x").status_code == 201
    assert eve.log_in().status_code == 200
    assert eve.user_id not in (77, bertil.user_id)


@pytest.mark.parametrize(
    "text",
    [
        "' OR '1'='1",
        "1; WAITFOR DELAY '0:0:5' --",
    ],
)
def test_sql_metacharacters_everywhere(anna: Person, text: str) -> None:
    anna.add_task(text)
    refused = [
        Person(anna.client, text, text).log_in(),
        anna.client.get("/api/tasks", headers=bearer(text)),
        anna.sign_up(email=text),
        anna.refreshed(text),
        anna.call("GET", "/api/tasks", query_string={"after": text}),
        anna.call("GET", "/api/tasks", query_string={"isCompleted": text}),
        anna.call("GET", f"/api/tasks/{text}"),
        anna.call("DELETE", f"/api/users/sessions/{text}"),
    ]
    statuses = [answer.status_code for answer in refused]
    assert statuses == [401, 401, 400, 400, 400, 400, 404, 404]
    assert [task["name"] for task in anna.tasks()] == [text]


@pytest.mark.parametrize(
    "evil",
    [
        "a\r\nSet-Cookie: x=1",
        "a\u2028X-Evil: 1",
    ],
)
def test_header_injection(anna: Person, evil: str) -> None:
    """What comes back in a header comes as it was sent, or not at all."""
    encoded = quote(evil)
    answers = {
        anna.call("GET", f"/api/tasks?limit=1&after={encoded}"): 400,
        anna.add_task(evil): 201,
        anna.client.get("/health/live", headers={"X-Request-ID": encoded}): 200,
        anna.client.get("/health/live", headers={"Origin": encoded}): 200,
        anna.client.get(f"/{encoded}"): 404,
    }
    for answer, status in answers.items():
        assert answer.status_code == status
        assert not {"Set-Cookie", "X-Evil"} & set(answer.headers.keys())
        assert encoded not in str(answer.headers)


def test_regular_expression_denial_of_service(client: FlaskClient) -> None:
    texts = {
        "email": "a@" + "a." * 24,
        "ts": "2026-01-01T00:00:00." + "0" * 60_000,
        "firstName": " " * 60_000,
    }
    started = time.perf_counter()
    for field, text in texts.items():
        Person(client).sign_up(**{field: text})
    for header in ("Authorization", "X-Request-ID", "Content-Type", "Traceparent"):
        client.post("/api/tasks", headers={header: "Bearer " + "a." * 4000}, data=b"x")
    assert time.perf_counter() - started < 5


def test_duplicate_keys(anna: Person) -> None:
    """Parsers that disagree about which one counts are how checks are bypassed: the last one does, everywhere."""
    data = b'{"name": "first", "NAME": "", "Name": "last"}'
    answer = anna.call("POST", "/api/tasks", data=data, content_type="application/json")
    assert answer.get_json()["name"] == "last"


def test_session_fixation(anna: Person, bertil: Person) -> None:
    """Nothing that a client brings along to a login becomes part of its session."""
    known = {decode(person.refresh).session_id for person in (anna, bertil)}
    headers = bearer(anna.access) | {"Cookie": f"session={anna.refresh}"}
    more = {"refreshToken": anna.refresh, "sessionId": str(decode(anna.refresh).session_id)}
    body = {"email": bertil.email, "password": bertil.password} | more
    answer = bertil.keep(anna.client.post("/api/users/login", json=body, headers=headers))
    assert "Set-Cookie" not in answer.headers
    assert decode(bertil.refresh).session_id not in known
    assert bertil.info()["email"] == bertil.email


def test_a_body_that_is_not_whole_is_not_acted_upon(live: Live) -> None:
    """As when a client goes away in the middle; RFC 9112, section 8."""
    tokens = new_user(live, "cut@example.com")
    start = (
        "HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Authorization: Bearer {tokens['accessToken']}\r\n"
    )
    for request, code in (
        (f"POST /api/users/logout {start}Content-Length: 89\r\n\r\n", "R01"),
        (f'POST /api/tasks {start}Content-Length: 50\r\n\r\n{{"name": "x"}}', "T00"),
        (f'POST /api/tasks {start}Transfer-Encoding: chunked\r\n\r\n5\r\n{{"n', "T00"),
    ):
        with socket.create_connection(("127.0.0.1", urlsplit(live.url).port)) as line:
            line.sendall(request.encode())
            line.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: line.recv(65_536), b"")).decode()
        assert f'"errorCode":"{code}"' in answer
    assert live.get("/api/tasks", tokens["accessToken"]).json() == []


def test_clickjacking_sniffing_and_caching(anna: Person, client: FlaskClient) -> None:
    for path in ("/api/tasks", "/nothing", "/health/live", "/openapi.json", "/metrics"):
        headers = anna.call("GET", path).headers
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in client.get("/swagger").headers["Content-Security-Policy"]
    answers = [anna.call("GET", path) for path in ("/api/users/info", "/health/ready", "/metrics")]
    for answer in (anna.log_in(), anna.refreshed(), *answers):
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("http://tasks.example", None),
        ("https://tasks.example", "max-age=31536000"),
        ("https://LocalHost.:1", None),
        ("https://localhost", None),
        ("https://app.localhost", None),
        ("https://127.0.0.9:1", None),
        ("https://[::ffff:127.0.0.1]", None),
    ],
)
def test_https_once_is_https_for_a_year(
    client: FlaskClient, address: str, value: str | None
) -> None:
    headers = client.get("/health/live", base_url=address).headers
    assert headers.get("Strict-Transport-Security") == value
