"""What is true of every route: errors, ids, paths, limits, CORS, health, metrics."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import MakeApp, Person, problem


def test_an_unknown_address_is_not_found(client: FlaskClient) -> None:
    for path in ("/nothing", "/api", "/api/tasks/1/2", "/api/users", "/API//tasks"):
        problem(client.get(path), 404, "not_found")


def test_a_method_that_is_not_there_is_405_and_says_which_are(client: FlaskClient) -> None:
    answer = client.post("/api/users/info")
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_no_method_override(anna: Person) -> None:
    answer = anna.client.post("/api/tasks/1", headers={"X-HTTP-Method-Override": "DELETE"})
    problem(answer, 405, "method_not_allowed")


@pytest.mark.parametrize(
    "path", ["/API/TASKS", "/api/tasks/", "/Api/Users/Info", "/api/users/sessions/"]
)
def test_paths_match_without_case_and_slash(anna: Person, path: str) -> None:
    assert anna.call("GET", path).status_code == 200


def test_a_bug_is_500_without_details(app: Flask, client: FlaskClient) -> None:
    app.view_functions["health.live"] = lambda: str(1 / 0)
    body = problem(client.get("/health/live"), 500, "internal")
    assert "division" not in str(body)


def test_no_origin_is_allowed_unless_configured(make_app: MakeApp) -> None:
    headers = {"Origin": "http://localhost:4200"}
    assert (
        "Access-Control-Allow-Origin"
        not in make_app().test_client().get("/api/tasks", headers=headers).headers
    )
    client = make_app(CORS_ORIGINS="http://localhost:4200, https://tasks.example").test_client()
    for path, status in (("/api/tasks", 401), ("/nothing", 404)):
        answer = client.get(path, headers=headers)
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:4200"
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    preflight = client.options(
        "/API/tasks/",
        headers=headers
        | {
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert preflight.status_code == 200
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    other = client.get("/api/tasks", headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers


def test_forwarded_headers_are_believed_only_from_configured_proxies(make_app: MakeApp) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Host": "evil.example",
        "Host": "evil.example",
    }
    for proxies, address in (("0", "127.0.0.1"), ("1", "203.0.113.9")):
        client = make_app(TRUSTED_PROXIES=proxies).test_client()
        anna = Person(client, f"anna{proxies}@example.com")
        anna.sign_up()
        answer = client.post(
            "/api/users/login",
            json={"email": anna.email, "password": anna.password},
            headers=forged,
        )
        anna.keep(answer)
        assert anna.call("GET", "/api/users/sessions").get_json()[0]["ipAddress"] == address
    added = client.post(
        "/api/tasks",
        json={"name": "x"},
        headers=forged | {"Authorization": f"Bearer {anna.access}"},
    )
    assert added.headers["Location"] == "/api/tasks/1"


def test_pages_can_be_switched_off(make_app: MakeApp) -> None:
    client = make_app(METRICS_ENABLED="false", DOCS_ENABLED="false").test_client()
    for path in ("/metrics", "/swagger", "/openapi.json"):
        problem(client.get(path), 404, "not_found")
