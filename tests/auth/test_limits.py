"""Limits: what counts together, what does not, and what happens without Redis."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from tasks_api.auth import limits
from tasks_api.config import ConfigError
from tests.conftest import MakeApp, Person, joined, problem
from tests.live import PASSWORD, free_port


@pytest.fixture
def limited(make_app: MakeApp) -> Callable[..., Person]:
    """Make an application with these rates, and a person who is signed in at 127.0.0.1."""

    def make(**rates: str) -> Person:
        settings = {f"RATELIMIT_{name}": rate for name, rate in rates.items()}
        return joined(make_app(RATELIMIT_ENABLED="true", **settings))

    return make


Limited = Callable[..., Person]


def guess(anna: Person, address: str = "127.0.0.1", email: str = "anna@example.com") -> int:
    """The status of a login with a wrong password."""
    return replace(anna, email=email, password="a guess", address=address).log_in().status_code


def log_in_at(anna: Person, address: str) -> TestResponse:
    return replace(anna, address=address).log_in()


# --- logins and signups ----------------------------------------------------------------------------------


def test_logins_and_signups_count_by_client_each_for_itself(limited: Limited) -> None:
    anna = limited(SIGNUP="2 per hour", LOGIN="2 per hour")
    # She has signed up once and logged in once.
    assert [anna.sign_up().status_code for _ in range(2)] == [422, 429]
    assert [anna.log_in().status_code for _ in range(2)] == [200, 429]
    assert log_in_at(anna, "203.0.113.1").status_code == 200


def test_failed_logins_count_by_account_and_client(limited: Limited) -> None:
    anna = limited(LOGIN_FAILURES="2 per hour")
    for email in ("anna@example.com", "nobody@example.com"):  # does not tell which one exists
        spellings = (email, email.upper(), email)
        assert [guess(anna, "203.0.113.1", each) for each in spellings] == [401, 401, 429]
    answer = log_in_at(anna, "203.0.113.1")
    problem(answer, 429, "rate_limited")
    assert 3000 < int(answer.headers["Retry-After"]) <= 3600
    assert log_in_at(anna, "203.0.113.2").status_code == 200
    assert guess(anna, "203.0.113.1", "other@example.com") == 401


def test_failed_logins_count_by_account_except_where_its_user_is_signed_in(
    limited: Limited,
) -> None:
    anna = limited(ACCOUNT_FAILURES="3 per hour")
    assert [guess(anna, f"203.0.113.{n}") for n in range(4)] == [401, 401, 401, 429]
    problem(log_in_at(anna, "203.0.113.9"), 429, "rate_limited")
    assert anna.log_in().status_code == 200


def test_of_ipv6_the_64_is_one_client(limited: Limited) -> None:
    anna = limited(LOGIN_FAILURES="2 per hour", ACCOUNT_FAILURES="2 per hour")
    log_in_at(anna, "2001:db8:0:a::1")
    assert [guess(anna, f"2001:db8:0:b::{n}") for n in range(3)] == [401, 401, 429]
    assert log_in_at(anna, "2001:db8:0:a::2").status_code == 200  # where she is signed in


@pytest.mark.parametrize("separator", ["/", " "])
def test_an_email_that_contains_an_address_does_not_use_up_the_limit_of_another(
    limited: Limited, separator: str
) -> None:
    anna = limited(LOGIN_FAILURES="2 per hour", ACCOUNT_FAILURES="2 per hour")
    email = f"v@e.co{separator}10.0.0.1"
    guesses = [guess(anna, f"203.0.113.{n}", email) for n in range(3)]
    assert guesses == [401, 401, 429]
    assert guess(anna, "10.0.0.1", "v@e.co") == 401


# --- password checks of signed-in callers -----------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda anna, password: anna.change_password(currentPassword=password),
        lambda anna, password: anna.change_info(email="a@b.se", currentPassword=password),
        lambda anna, password: anna.delete_account(password),
    ],
)
def test_password_checks_count_by_session(
    limited: Limited, act: Callable[[Person, str], TestResponse]
) -> None:
    anna = limited(PASSWORD="1 per hour")
    other_device = anna.other_device()
    for _ in range(2):  # no password is checked
        assert anna.change_info(firstName="x", currentPassword="x").status_code == 200
    problem(act(anna, "wrong one"), 422, "P01")
    problem(act(anna, PASSWORD), 429, "rate_limited")
    assert act(other_device, PASSWORD).status_code < 300


# --- Redis -----------------------------------------------------------------------------------------------


@contextmanager
def redis(port: int, folder: Path) -> Iterator[None]:
    command = ["redis-server", "--port", str(port), "--save", ""]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as process:
        for line in process.stdout or ():
            if b"Ready to accept connections" in line:
                break
        try:
            yield
        finally:
            process.kill()


@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed")
def test_processes_count_together_in_redis_and_alone_while_it_is_away(
    make_app: MakeApp, tmp_path: Path
) -> None:
    port = free_port()
    settings = {
        "RATELIMIT_ENABLED": "true",
        "RATELIMIT_STORAGE_URI": f"redis://127.0.0.1:{port}",
        "RATELIMIT_LOGIN_FAILURES": "2 per hour",
    }
    one, other = (Person(make_app(**settings).test_client()) for _ in range(2))
    together = [one, other, one]
    with redis(port, tmp_path):
        assert [guess(person) for person in together] == [401, 401, 429]
    assert [guess(one) for _ in range(3)] == [401, 401, 429]
    with redis(port, tmp_path):
        assert [guess(person) for person in together] == [401, 401, 429]


def test_a_silent_redis_delays_a_request_by_its_timeout_for_each_question(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REDIS_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_STORAGE_URI=uri)
        began = time.monotonic()
        assert guess(Person(app.test_client())) == 401
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "uri",
    [
        "here",
        "memcached://127.0.0.1",
        "redis://:hidden@cache:99999",
        "redis://:hidden@127.0.0.1:1?hidden=1",
        "redis://:hidden/w@cache",
    ],
)
def test_a_storage_that_cannot_be_used_stops_the_start(make_app: MakeApp, uri: str) -> None:
    with pytest.raises(ConfigError, match=r"\ATASKS_RATELIMIT_STORAGE_URI .*\Z") as refusal:
        make_app(RATELIMIT_STORAGE_URI=uri)
    assert "hidden" not in refusal.value.message


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize(
    "spelling", ["anna.\u017fmith@example.com", "\uff41nna.smith@example.com", "1"]
)
def test_spellings_of_an_email_count_alike_whether_the_account_exists(
    make_app: MakeApp, spelling: str, exists: bool
) -> None:
    email = "anna.smith@example.com"
    app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_LOGIN_FAILURES="2 per hour")
    if exists:
        Person(app.test_client(), email).sign_up()
    for _ in range(2):
        problem(Person(app.test_client(), spelling, "wrong").log_in(), 401, "L02")
    status = Person(app.test_client(), email, "wrong").log_in().status_code
    assert status == (401 if spelling == "1" else 429)
