"""Attacks on any service. Those on tokens, passwords and sessions are in tests/auth."""

import socket
from urllib.parse import urlsplit

from flask.testing import FlaskClient

from tests.conftest import Person
from tests.live import Live, new_user


def test_mass_assignment(anna: Person, bertil: Person) -> None:
    more = {"userId": bertil.user_id, "user_id": bertil.user_id, "id": 77, "active": False}
    task = anna.add_task(**more).get_json()
    assert task["id"] != 77
    anna.call("PATCH", f"/api/tasks/{task['id']}", json=more)
    assert anna.tasks() == [task]
    assert bertil.tasks() == []


def test_sql_injection(anna: Person) -> None:
    text = "1' OR '1'='1'; WAITFOR DELAY '0:0:5' --"
    anna.add_task(text)
    refused = {
        Person(anna.client, text, text).log_in(): 401,
        anna.refreshed(text): 400,
        anna.call("GET", "/api/tasks", query_string={"after": text}): 400,
        anna.call("GET", f"/api/tasks/{text}"): 404,
        anna.call("DELETE", f"/api/users/sessions/{text}"): 404,
    }
    for answer, status in refused.items():
        assert answer.status_code == status
    assert [task["name"] for task in anna.tasks()] == [text]


def test_an_incomplete_body_changes_nothing(live: Live) -> None:
    """As when a client goes away while it sends; RFC 9112, section 8."""
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
    for path in ("/api/tasks", "/nothing", "/openapi.json"):
        headers = anna.call("GET", path).headers
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in client.get("/swagger").headers["Content-Security-Policy"]
    for answer in (anna.refreshed(), client.get("/health/ready"), client.get("/metrics")):
        assert answer.headers["Cache-Control"] == "no-store"
