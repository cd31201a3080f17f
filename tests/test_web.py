"""What is true of every route: errors, ids, paths, limits, CORS, health, metrics."""

import json
import sqlite3
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tasks_api.database import db

from .conftest import MakeApp, Person, embedded_only, problem


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


@pytest.mark.parametrize("path", ["/API/TASKS", "/api/tasks/", "/Api/Users/Info", "/api/users/sessions/"])
def test_paths_match_without_case_and_slash(anna: Person, path: str) -> None:
    assert anna.call("GET", path).status_code == 200


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1._X", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("å", False)]
)
def test_a_request_id_is_kept_if_it_is_harmless(client: FlaskClient, given: str, kept: bool) -> None:
    answer = client.get("/health/live", headers={"X-Request-ID": given})
    assert (answer.headers["X-Request-ID"] == given) is kept


def test_the_log_line_has_the_same_id(capsys: pytest.CaptureFixture[str], make_app: MakeApp) -> None:
    anna = Person(make_app().test_client())
    anna.sign_up()
    anna.log_in()
    anna.client.get("/api/users/info", headers={"Authorization": f"Bearer {anna.access}", "X-Request-ID": "find-me"})
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


def test_a_bug_is_500_without_details(app: Flask, client: FlaskClient) -> None:
    app.view_functions["health.live"] = lambda: str(1 / 0)
    body = problem(client.get("/health/live"), 500, "internal")
    assert "division" not in str(body)


@embedded_only
def test_a_file_that_is_no_database_is_503(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "tasks.db").write_text("This is no database. " * 100)
    client = make_app().test_client()
    answer = Person(client).log_in()
    body = problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert "file is not" not in str(body)
    problem(client.get("/health/ready"), 503, "unavailable")
    assert client.get("/health/live").json == {"status": "ok"}
    refused = Person(client, refresh="A" * 70).refreshed()
    problem(refused, 503, "unavailable")
    assert 1 <= int(refused.headers["Retry-After"]) < 10


def test_a_database_without_its_schema_is_not_ready(make_app: MakeApp) -> None:
    client = make_app(UPGRADE_ON_START="false").test_client()
    assert "db upgrade" in problem(client.get("/health/ready"), 503, "unavailable")["error"]
    problem(Person(client).log_in(), 503, "unavailable")


@embedded_only
def test_a_locked_database_is_503_and_heals(app: Flask, anna: Person) -> None:
    with app.app_context():
        path = str(db.engine.url.database)
        db.engine.dispose()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with app.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    problem(anna.call("POST", "/api/tasks", json={"name": "x"}), 503, "unavailable")
    assert anna.call("GET", "/api/tasks").json == []
    other.execute("ROLLBACK")
    other.close()
    assert anna.call("POST", "/api/tasks", json={"name": "x"}).status_code == 201


def test_a_user_that_is_gone_gets_a04(app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks_api.tasks import service

    add = service.add
    monkeypatch.setattr(service, "add", lambda _user_id, **body: add(99, **body))
    problem(anna.call("POST", "/api/tasks", json={"name": "x"}), 401, "A04")


def guess(app: Flask, address: str, email: str = "anna@example.com", password: str = "a guess") -> TestResponse:
    body = {"email": email, "password": password}
    return app.test_client().post("/api/users/login", json=body, environ_base={"REMOTE_ADDR": address})


def test_wrong_passwords_slow_an_account_down_where_they_come_from(make_app: MakeApp) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN_FAILURES="2 per hour")
    anna = Person(app.test_client())
    anna.sign_up()
    for email in (anna.email, "nobody@example.com"):  # nobody learns which of them exists
        for _ in range(2):
            problem(guess(app, "203.0.113.1", email), 401, "L02")
        answer = guess(app, "203.0.113.1", email)
        problem(answer, 429, "rate_limited")
        assert 0 < int(answer.headers["Retry-After"]) <= 3600
    problem(guess(app, "203.0.113.1", password=anna.password), 429, "rate_limited")
    assert guess(app, "203.0.113.2", password=anna.password).status_code == 200
    problem(guess(app, "203.0.113.1", "other@example.com"), 401, "L02")


def test_a_wrong_current_password_counts(make_app: MakeApp) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN_FAILURES="2 per hour")
    anna = Person(app.test_client())
    anna.sign_up()
    anna.log_in()
    change = {"currentPassword": "x", "newPassword": "yet another", "confirmPassword": "yet another"}
    for _ in range(2):
        problem(anna.call("PUT", "/api/users/password", json=change), 422, "P01")
    problem(anna.call("PUT", "/api/users/password", json=change), 429, "rate_limited")


def test_guessing_from_everywhere_locks_nobody_out_where_they_are_signed_in(make_app: MakeApp) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_ACCOUNT_FAILURES="3 per hour")
    anna = Person(app.test_client())
    anna.sign_up()
    anna.log_in()
    for n in range(3):
        problem(guess(app, f"203.0.113.{n}"), 401, "L02")
    problem(guess(app, "203.0.113.9", password=anna.password), 429, "rate_limited")
    problem(guess(app, "203.0.113.9"), 429, "rate_limited")
    assert anna.log_in().status_code == 200


def test_only_refused_refreshes_count_and_a_good_token_is_never_held_up(make_app: MakeApp) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_REFRESH="2 per minute")
    anna = Person(app.test_client())
    anna.sign_up()
    anna.log_in()
    for _ in range(4):
        assert anna.keep(anna.refreshed()).status_code == 200
    for _ in range(2):
        problem(anna.refreshed("x"), 400, "invalid_grant")
    answer = anna.refreshed("x")
    problem(answer, 429, "rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) < 10
    assert anna.keep(anna.refreshed()).status_code == 200


def test_an_ipv6_subscriber_is_one_client(make_app: MakeApp) -> None:
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN="2 per hour")
    codes = [guess(app, f"2001:db8::{n}").status_code for n in range(3)]
    assert codes == [401, 401, 429]
    assert guess(app, "2001:db8:0:1::1").status_code == 401


@pytest.mark.parametrize(
    ("setting", "path", "method"),
    [("SIGNUP", "signup", "POST"), ("LOGIN", "login", "POST"), ("PASSWORD", "password", "PUT")],
)
def test_routes_that_hash_are_limited_per_address(make_app: MakeApp, setting: str, path: str, method: str) -> None:
    app = make_app(**{"RATELIMIT_ENABLED": "true", f"RATELIMIT_{setting}": "2 per hour"})
    anna = Person(app.test_client())
    anna.sign_up()
    anna.log_in()
    change = {"currentPassword": "x", "newPassword": "y" * 8, "confirmPassword": "z" * 8}
    body = {
        "signup": {"email": "x@y.se", "firstName": "x", "lastName": "y", "password": "1", "confirmPassword": "2"},
        "login": {"email": "x@y.se", "password": "x"},
        "password": change,
    }[path]
    codes = [anna.call(method, f"/api/users/{path}", json=body).status_code for _ in range(3)]
    assert codes[-1] == 429


def test_no_origin_is_allowed_unless_configured(make_app: MakeApp) -> None:
    headers = {"Origin": "http://localhost:4200"}
    assert "Access-Control-Allow-Origin" not in make_app().test_client().get("/api/tasks", headers=headers).headers
    client = make_app(CORS_ORIGINS="http://localhost:4200, https://tasks.example").test_client()
    for path, status in (("/api/tasks", 401), ("/nothing", 404)):
        answer = client.get(path, headers=headers)
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:4200"
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    preflight = client.options(
        "/API/tasks/",
        headers=headers | {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"},
    )
    assert preflight.status_code == 200
    assert "PUT" in preflight.headers["Access-Control-Allow-Methods"]
    other = client.get("/api/tasks", headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers


def test_forwarded_headers_are_believed_only_from_configured_proxies(make_app: MakeApp) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example", "Host": "evil.example"}
    for proxies, address in (("0", "127.0.0.1"), ("1", "203.0.113.9")):
        client = make_app(TRUSTED_PROXIES=proxies).test_client()
        anna = Person(client, f"anna{proxies}@example.com")
        anna.sign_up()
        answer = client.post("/api/users/login", json={"email": anna.email, "password": anna.password}, headers=forged)
        anna.keep(answer)
        assert anna.call("GET", "/api/users/sessions").get_json()[0]["ipAddress"] == address
    added = client.post("/api/tasks", json={"name": "x"}, headers=forged | {"Authorization": f"Bearer {anna.access}"})
    assert added.headers["Location"] == "/api/tasks/1"


def test_metrics_count_by_route(anna: Person) -> None:
    anna.call("GET", "/api/tasks/12345")
    text = anna.client.get("/metrics").text
    assert 'route="/api/tasks/<task_id>",status="404"' in text.replace('method="GET",', "")
    assert "tasks/12345" not in text
    assert 'tasks_security_events_total{event="login_ok"}' in text


def test_pages_can_be_switched_off(make_app: MakeApp) -> None:
    client = make_app(METRICS_ENABLED="false", DOCS_ENABLED="false").test_client()
    for path in ("/metrics", "/swagger", "/openapi.json"):
        problem(client.get(path), 404, "not_found")
