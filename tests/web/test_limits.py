"""Limits that several processes share, and what happens when they cannot."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tasks_api import create_app
from tasks_api.config import ConfigError, Settings
from tests.conftest import MakeApp, Person, problem
from tests.live import free_port


@pytest.fixture
def redis(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = [
        program,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    process.url = f"redis://127.0.0.1:{port}"  # type: ignore[attr-defined]
    time.sleep(0.5)
    yield process
    process.kill()
    process.wait()


def test_processes_count_together_in_redis_and_alone_without_it(
    make_app: MakeApp, redis: "subprocess.Popen[bytes]"
) -> None:
    settings = {"RATELIMIT_ENABLED": "true", "RATELIMIT_STORAGE_URI": redis.url}  # type: ignore[attr-defined]
    settings |= {"RATELIMIT_LOGIN": "4 per hour", "RATELIMIT_LOGIN_FAILURES": "2 per hour"}
    one, other = (Person(make_app(**settings).test_client(), password="a guess") for _ in range(2))
    assert [guesser.log_in().status_code for guesser in (one, other, one)] == [401, 401, 429]
    redis.kill()
    redis.wait()
    assert [one.log_in().status_code for _ in range(3)] == [401, 401, 429]


def test_a_missing_package_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    settings = Settings.load({"TASKS_RATELIMIT_STORAGE_URI": "redis://127.0.0.1:1"}, tmp_path)
    with pytest.raises(ConfigError, match="EXTRAS=redis"):
        create_app(settings)


def guess(
    app: Flask, address: str, email: str = "anna@example.com", password: str = "a guess"
) -> TestResponse:
    body = {"email": email, "password": password}
    return app.test_client().post(
        "/api/users/login", json=body, environ_base={"REMOTE_ADDR": address}
    )


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
    change = {
        "currentPassword": "x",
        "newPassword": "yet another",
        "confirmPassword": "yet another",
    }
    for _ in range(2):
        problem(anna.call("PUT", "/api/users/password", json=change), 422, "P01")
    problem(anna.call("PUT", "/api/users/password", json=change), 429, "rate_limited")


def test_guessing_from_everywhere_locks_nobody_out_where_they_are_signed_in(
    make_app: MakeApp,
) -> None:
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
def test_routes_that_hash_are_limited_per_address(
    make_app: MakeApp, setting: str, path: str, method: str
) -> None:
    app = make_app(**{"RATELIMIT_ENABLED": "true", f"RATELIMIT_{setting}": "2 per hour"})
    anna = Person(app.test_client())
    anna.sign_up()
    anna.log_in()
    change = {"currentPassword": "x", "newPassword": "y" * 8, "confirmPassword": "z" * 8}
    body = {
        "signup": {
            "email": "x@y.se",
            "firstName": "x",
            "lastName": "y",
            "password": "1",
            "confirmPassword": "2",
        },
        "login": {"email": "x@y.se", "password": "x"},
        "password": change,
    }[path]
    codes = [anna.call(method, f"/api/users/{path}", json=body).status_code for _ in range(3)]
    assert codes[-1] == 429


def test_an_ipv6_subscriber_is_one_client_for_an_account_too(make_app: MakeApp) -> None:
    limits = {"RATELIMIT_LOGIN_FAILURES": "2 per hour", "RATELIMIT_ACCOUNT_FAILURES": "4 per hour"}
    app = make_app(RATELIMIT_ENABLED="true", **limits)
    anna = Person(app.test_client())
    anna.sign_up()
    assert guess(app, "2001:db8:0:a::1", password=anna.password).status_code == 200
    codes = [guess(app, f"2001:db8:0:b::{n}").status_code for n in range(3)]
    assert codes == [401, 401, 429]
    for n in range(2):
        assert guess(app, f"203.0.113.{n}").status_code == 401
    assert guess(app, "203.0.113.9", password=anna.password).status_code == 429
    # Of the same /64 as her session:
    assert guess(app, "2001:db8:0:a::2", password=anna.password).status_code == 200
