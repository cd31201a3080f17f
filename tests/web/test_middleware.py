"""What is true of every route: errors, ids, paths, limits, CORS, health, metrics."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import MakeApp, Person, joined, problem


def test_an_unknown_address_is_not_found(client: FlaskClient) -> None:
    for path in ("/nothing", "/api", "/API//tasks"):
        problem(client.get(path), 404, "not_found")


def test_a_method_that_is_not_there_is_405_and_cannot_be_overridden(client: FlaskClient) -> None:
    answer = client.post("/api/users/info", headers={"X-HTTP-Method-Override": "GET"})
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    [
        "/API/TASKS",
        "/Api/Users/Sessions/",
    ],
)
def test_paths_match_without_case_and_slash(anna: Person, path: str) -> None:
    assert anna.call("GET", path).status_code == 200


def test_a_bug_is_500_without_details(app: Flask, client: FlaskClient) -> None:
    app.view_functions["health.live"] = lambda: str(1 / 0)
    body = problem(client.get("/health/live"), 500, "internal")
    assert "division" not in str(body)


def test_no_origin_is_allowed_unless_configured(make_app: MakeApp) -> None:
    headers = {"Origin": "http://localhost:4200"}
    closed = make_app().test_client().get("/api/tasks", headers=headers)
    assert "Access-Control-Allow-Origin" not in closed.headers
    client = make_app(CORS_ORIGINS="http://localhost:4200, https://tasks.example").test_client()
    for path in ("/api/tasks", "/nothing"):
        answer = client.get(path, headers=headers)
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:4200"
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_forwarded_headers_are_believed_only_from_configured_proxies(make_app: MakeApp) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example"}
    for proxies, address in (("0", "127.0.0.1"), ("1", "203.0.113.9")):
        app = make_app(TRUSTED_PROXIES=proxies)
        anna = joined(app, f"anna{proxies}@example.com")
        anna.log_in(headers=forged)
        assert anna.sessions()[0]["ipAddress"] == address
        added = anna.call("POST", "/api/tasks", headers=forged, json={"name": "x"})
        assert added.headers["Location"].startswith("/api/tasks/")


def test_of_two_proxies_each_adds_an_address_and_the_last_says_the_rest(make_app: MakeApp) -> None:
    """As Cloudflare before nginx, or Front Door before App Service."""
    anna = joined(make_app(TRUSTED_PROXIES="2"))
    headers = {
        "X-Forwarded-For": "192.0.2.1, 198.51.100.7, 10.0.0.1",  # the first is made up
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "tasks.example",
    }
    answer = anna.log_in(headers=headers)
    assert anna.sessions()[0]["ipAddress"] == "198.51.100.7"
    assert "Strict-Transport-Security" in answer.headers


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("198.51.100.7:40001", "198.51.100.7"),  # Azure's gateways
        ("[2001:db8::7]:40001", "2001:db8::7"),
        ("2001:DB8:0::7%eth0", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("64:ff9b::198.51.100.7", "198.51.100.7"),
        ("unknown", None),
        ("198.51.100.7, 10.0.0.1", "10.0.0.1"),
    ],
)
def test_what_a_proxy_says_is_read_as_an_address(
    make_app: MakeApp, said: str, address: str | None
) -> None:
    anna = joined(make_app(TRUSTED_PROXIES="1"))
    anna.log_in(headers={"X-Forwarded-For": said})
    assert anna.sessions()[0]["ipAddress"] == address


def test_an_openapi_document_names_the_prefix_that_a_proxy_or_the_server_gives_it(
    make_app: MakeApp,
) -> None:
    client = make_app(TRUSTED_PROXIES="1").test_client()
    for headers, server, url in (
        ({}, {}, "/"),
        ({"X-Forwarded-Prefix": "/svc"}, {}, "/svc/"),
        ({"X-Forwarded-Prefix": "/svc/"}, {}, "/svc/"),
        ({}, {"SCRIPT_NAME": "/svc"}, "/svc/"),
    ):
        answer = client.get("/openapi.json", headers=headers, environ_overrides=server)
        assert answer.get_json()["servers"] == [{"url": url}]


def test_an_origin_of_any_scheme_is_compared_as_it_is(make_app: MakeApp) -> None:
    allowed = ("capacitor://localhost", "file://", "http://[::1]:4200", "https://a.example.com")
    client = make_app(CORS_ORIGINS=",".join(allowed)).test_client()
    asked = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "traceparent, cache-control",
    }
    for origin in allowed:
        answer = client.options("/API/tasks/", headers=asked | {"Origin": origin})
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "cache-control, traceparent"
    for origin in ("https://axexample.com", "https://a.example.com.evil.example"):
        answer = client.get("/api/tasks", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_pages_can_be_switched_off(make_app: MakeApp) -> None:
    pages = {"METRICS_ENABLED": "false", "DOCS_ENABLED": "false", "PAGE_ENABLED": "false"}
    client = make_app(**pages).test_client()
    for path in ("/metrics", "/swagger", "/openapi.json", "/"):
        problem(client.get(path), 404, "not_found")
