"""What happens to every request: paths, methods, bugs, origins, proxies, https."""

from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tasks_api.web.middleware import plain_address
from tests.conftest import MakeApp, joined, problem
from tests.live import Live

ORIGINS = ("capacitor://localhost", "http://[::1]:4200", "https://a.example.com")


def test_an_unknown_address_is_not_found(client: FlaskClient) -> None:
    for path in ("/nothing", "/api", "/api//tasks"):
        problem(client.get(path), 404, "not_found")


@pytest.mark.parametrize("path", ["//metrics", "/%2fmetrics"])
def test_a_path_that_begins_with_two_slashes_is_not_found(live: Live, path: str) -> None:
    with closing(HTTPConnection(urlsplit(live.url).netloc)) as connection:
        connection.request("GET", path)  # requests would send one slash
        assert connection.getresponse().status == 404


def test_a_missing_method_is_405_and_cannot_be_overridden(client: FlaskClient) -> None:
    answer = client.post("/api/users/info", headers={"X-HTTP-Method-Override": "GET"})
    problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_a_bug_is_500_without_details(app: Flask, client: FlaskClient) -> None:
    app.view_functions["health.live"] = lambda: str(1 / 0)
    body = problem(client.get("/health/live"), 500, "internal")
    assert "division" not in str(body)


def test_pages_can_be_switched_off(make_app: MakeApp) -> None:
    pages = {"METRICS_ENABLED": "false", "DOCS_ENABLED": "false", "PAGE_ENABLED": "false"}
    client = make_app(**pages).test_client()
    for path in ("/metrics", "/swagger", "/openapi.json", "/"):
        problem(client.get(path), 404, "not_found")


def test_no_origin_is_allowed_unless_configured(client: FlaskClient) -> None:
    answer = client.get("/api/tasks", headers={"Origin": ORIGINS[0]})
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.fixture
def shared(make_app: MakeApp) -> FlaskClient:
    """A client of a service that web pages of ORIGINS may call."""
    return make_app(CORS_ORIGINS=",".join(ORIGINS)).test_client()


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_configured_origin_may_send_any_header_and_read_errors(
    shared: FlaskClient, origin: str
) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "traceparent, cache-control",
    }
    preflight = shared.options("/api/tasks", headers=asked)
    assert preflight.status_code == 200
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Allow-Headers"] == "cache-control, traceparent"
    error = shared.get("/nothing", headers={"Origin": origin})
    assert error.headers["Access-Control-Allow-Origin"] == origin
    assert error.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Retry-After" in error.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    "origin", ["https://axexample.com", "https://a.example.com.evil.example"]
)
def test_an_origin_is_compared_as_it_is(shared: FlaskClient, origin: str) -> None:
    answer = shared.get("/api/tasks", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_caches_keep_answers_to_configured_origins_apart(shared: FlaskClient) -> None:
    assert "Origin" in shared.get("/openapi.json").vary


@pytest.mark.parametrize(
    ("proxies", "address"), [("0", "127.0.0.1"), ("1", "10.0.0.1"), ("2", "198.51.100.7")]
)
def test_each_configured_proxy_adds_an_address_and_the_last_one_says_the_scheme(
    make_app: MakeApp, proxies: str, address: str
) -> None:
    """Two proxies: Cloudflare before nginx, or Front Door before App Service."""
    headers = {
        "X-Forwarded-For": "192.0.2.1, 198.51.100.7, 10.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "tasks.example",
    }
    anna = joined(make_app(TRUSTED_PROXIES=proxies))
    answer = anna.log_in(headers=headers)
    assert anna.sessions()[0]["ipAddress"] == address
    assert ("Strict-Transport-Security" in answer.headers) is (proxies != "0")


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("198.51.100.7:40001", "198.51.100.7"),  # Azure's gateways
        ("[2001:db8::7]:40001", "2001:db8::7"),
        ("2001:DB8:0::7%eth0", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("unknown", ""),
    ],
)
def test_what_a_proxy_says_is_read_as_an_address(said: str, address: str) -> None:
    assert plain_address(said) == address


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("http://tasks.example", None),
        ("https://tasks.example", "max-age=31536000"),
        ("https://LocalHost:1", None),
    ],
)
def test_browsers_keep_to_https_for_a_year_but_not_on_their_own_machine(
    client: FlaskClient, address: str, value: str | None
) -> None:
    headers = client.get("/health/live", base_url=address).headers
    assert headers.get("Strict-Transport-Security") == value
