"""Limits that several processes share, and what happens when they cannot."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from limits.errors import StorageError
from limits.storage import MemoryStorage
from limits.strategies import RateLimiter
from werkzeug.test import TestResponse

from tasks_api import attempts, create_app
from tasks_api.config import ConfigError, Settings
from tests.conftest import MakeApp, Person, invalid_grant, joined, problem
from tests.live import PASSWORD, at_once, free_port


@dataclass
class Redis:
    """A server of its own."""

    url: str
    process: subprocess.Popen[bytes]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = str(free_port())
    command = [program, "--port", port, "--save", ""]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        for line in process.stdout or ():
            if b"Ready to accept connections" in line:
                break
        yield Redis(f"redis://127.0.0.1:{port}", process)
        process.kill()


def test_processes_count_together_in_redis_and_alone_without_it(
    make_app: MakeApp, redis: Redis
) -> None:
    rates = {"RATELIMIT_LOGIN": "4 per hour", "RATELIMIT_LOGIN_FAILURES": "2 per hour"}
    settings = rates | {"RATELIMIT_ENABLED": "true", "RATELIMIT_STORAGE_URI": redis.url}
    one, other = (Person(make_app(**settings).test_client()) for _ in range(2))
    assert [guesser.log_in().status_code for guesser in (one, other, one)] == [401, 401, 429]
    redis.process.kill()
    redis.process.wait()
    assert [one.log_in().status_code for _ in range(3)] == [401, 401, 429]


@pytest.fixture
def storage_clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The seconds that storages are left alone by."""
    clock = SimpleNamespace(seconds=0.0)
    clock.monotonic = lambda: clock.seconds
    monkeypatch.setattr(attempts, "time", clock)
    return clock


def test_a_storage_that_says_nothing_holds_up_one_and_the_rest_count_alone(
    make_app: MakeApp, storage_clock: SimpleNamespace
) -> None:
    with ExitStack() as open_lines:
        silent = open_lines.enter_context(socket.create_server(("127.0.0.1", 0)))
        silent.setblocking(False)
        uri = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_STORAGE_URI=uri)

        def asked() -> int:
            """How many have asked it since."""
            count = 0
            with suppress(BlockingIOError):
                while line := silent.accept()[0]:
                    open_lines.enter_context(line)
                    count += 1
            return count

        joined(app)
        assert asked() == 2  # at the start, and when she signed up
        for expected in (0, 1, 1):
            guesses = at_once(8, lambda: joined(app, f"{uuid4()}@example.com"))
            assert len(guesses) == 8
            assert asked() == expected
            storage_clock.seconds += attempts.STORAGE_PAUSE


def test_a_storage_that_is_back_is_asked_by_everybody(storage_clock: SimpleNamespace) -> None:
    shared = MemoryStorage()
    counters = attempts.Counters(shared)

    def is_asked(failure: Exception | None = None) -> bool:
        def question(counts: RateLimiter) -> bool:
            if failure and counts.storage is shared:
                raise failure
            return counts.storage is shared

        return counters.ask(question)

    for failure in (StorageError(OSError("away")), ValueError("no number")):
        assert [is_asked(), is_asked(failure), is_asked()] == [True, False, False]
        storage_clock.seconds += attempts.STORAGE_PAUSE
        assert [is_asked(), is_asked()] == [True, True]


def test_an_option_that_redis_does_not_know_stops_the_start(tmp_path: Path) -> None:
    for way in ("cache:99999", "127.0.0.1:1?hidden=1"):
        uri = f"redis://:hidden@{way}"
        settings = Settings.load({"TASKS_RATELIMIT_STORAGE_URI": uri}, tmp_path)
        with pytest.raises(ConfigError, match=r"\ATASKS_RATELIMIT_STORAGE_URI .*\Z") as refusal:
            create_app(settings)
        assert "hidden" not in str(refusal.value)


def test_a_missing_package_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    settings = Settings.load({"TASKS_RATELIMIT_STORAGE_URI": "redis://127.0.0.1:1"}, tmp_path)
    with pytest.raises(ConfigError, match="EXTRAS=redis"):
        create_app(settings)


def limited(make_app: MakeApp, **rates: str) -> Person:
    """Somebody who is signed in at 127.0.0.1."""
    rates = {f"RATELIMIT_{name}": rate for name, rate in rates.items()}
    return joined(make_app(RATELIMIT_ENABLED="true", **rates))


def log_in(somebody: Person, address: str) -> TestResponse:
    return somebody.log_in(environ_base={"REMOTE_ADDR": address})


def guess(anna: Person, address: str, email: str = "anna@example.com") -> int:
    return log_in(Person(anna.client, email, "a guess"), address).status_code


def test_wrong_passwords_slow_an_account_down_where_they_come_from(make_app: MakeApp) -> None:
    anna = limited(make_app, LOGIN_FAILURES="2 per hour")
    for email in (anna.email, "nobody@example.com"):  # nobody learns which of them exists
        assert [guess(anna, "203.0.113.1", email) for _ in range(3)] == [401, 401, 429]
    answer = log_in(anna, "203.0.113.1")
    problem(answer, 429, "rate_limited")
    assert 3000 < int(answer.headers["Retry-After"]) <= 3600
    assert log_in(anna, "203.0.113.2").status_code == 200
    assert guess(anna, "203.0.113.1", "other@example.com") == 401


Act = Callable[[Person, str], TestResponse]
with_a_password = pytest.mark.parametrize(
    "act",
    [
        lambda anna, password: anna.change_password(currentPassword=password),
        lambda anna, password: anna.change_info(email="a@b.se", currentPassword=password),
        lambda anna, password: anna.delete_account(password),
    ],
)


@with_a_password
def test_wrong_passwords_count_wherever_they_are_tried(make_app: MakeApp, act: Act) -> None:
    anna = limited(make_app, LOGIN_FAILURES="2 per hour")
    assert guess(anna, "127.0.0.1") == 401
    problem(act(anna, "wrong one"), 422, "P01")
    problem(act(anna, PASSWORD), 429, "rate_limited")


@with_a_password
def test_what_hashes_a_password_is_limited_for_each_address(make_app: MakeApp, act: Act) -> None:
    anna = limited(make_app, PASSWORD="1 per hour")
    for _ in range(2):  # nothing is hashed
        assert anna.change_info(firstName="x", currentPassword="x").status_code == 200
    problem(act(anna, "wrong one"), 422, "P01")
    problem(act(anna, PASSWORD), 429, "rate_limited")


def test_guessing_from_everywhere_locks_nobody_out_where_they_are_signed_in(
    make_app: MakeApp,
) -> None:
    anna = limited(make_app, ACCOUNT_FAILURES="3 per hour")
    assert [guess(anna, f"203.0.113.{n}") for n in range(4)] == [401, 401, 401, 429]
    problem(log_in(anna, "203.0.113.9"), 429, "rate_limited")
    assert anna.log_in().status_code == 200


def test_only_refused_refreshes_count_and_a_good_token_is_never_held_up(make_app: MakeApp) -> None:
    anna = limited(make_app, REFRESH="2 per minute")
    for _ in range(4):
        anna.renew()
    for _ in range(2):
        invalid_grant(anna.refreshed("x"))
    answer = anna.refreshed("x")
    problem(answer, 429, "rate_limited")
    assert 1 <= int(answer.headers["Retry-After"]) < 10
    anna.renew()


def test_signups_and_logins_are_limited_for_each_address(make_app: MakeApp) -> None:
    anna = limited(make_app, SIGNUP="2 per hour", LOGIN="2 per hour")
    # She has signed up and logged in once.
    assert [anna.sign_up().status_code for _ in range(2)] == [422, 429]
    assert [anna.log_in().status_code for _ in range(2)] == [200, 429]
    assert log_in(anna, "203.0.113.1").status_code == 200


def test_an_ipv6_subscriber_is_one_client(make_app: MakeApp) -> None:
    anna = limited(make_app, LOGIN="2 per hour")
    assert [guess(anna, f"2001:db8::{n}") for n in range(3)] == [401, 401, 429]
    assert guess(anna, "2001:db8:0:1::1") == 401


def test_an_ipv6_subscriber_is_one_client_for_an_account_too(make_app: MakeApp) -> None:
    anna = limited(make_app, LOGIN_FAILURES="2 per hour", ACCOUNT_FAILURES="3 per hour")
    assert log_in(anna, "2001:db8:0:a::1").status_code == 200
    assert [guess(anna, f"2001:db8:0:b::{n}") for n in range(3)] == [401, 401, 429]
    assert [guess(anna, f"203.0.113.{n}") for n in range(2)] == [401, 429]
    # Of the same /64 as her session:
    assert log_in(anna, "2001:db8:0:a::2").status_code == 200
