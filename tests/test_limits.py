"""Limits that several processes share, and what happens when they cannot."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks_api import create_app
from tasks_api.config import ConfigError, Settings

from .conftest import MakeApp, Person, free_port


@pytest.fixture
def redis(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
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
