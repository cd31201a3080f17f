"""gunicorn as gunicorn.conf.py sets it up: starting, reloading, stopping."""

import os
import runpy
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tasks_api.config import ROOT
from tasks_api.database.commands import DEMO_EMAIL, DEMO_PASSWORD
from tests.databases import databases
from tests.live import (
    GUNICORN,
    at_once,
    children,
    environment,
    free_port,
    log_in,
    new_user,
    run,
    running,
    serving,
    wait_for,
    workers_of,
    working,
)


def gunicorn(instance: Path, *options: str, **settings: str) -> tuple[int, str]:
    """The exit status of a gunicorn that does not go on, and what it says."""
    return run(GUNICORN, *options, "wsgi:app", environ=environment(instance, **settings))


# --- starting --------------------------------------------------------------------------------------------


def configured(**environ: str) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WEB_CONCURRENCY", raising=False)
        for name, value in environ.items():
            patch.setenv(name, value)
        return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


@pytest.mark.parametrize(
    ("files", "workers"),
    [
        ({}, 2),
        ({"cpu.max": "max 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 2),
    ],
)
def test_there_are_as_many_workers_as_processors_may_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {4, 7})
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    assert configured()["usable_processors"](tmp_path) == workers


def test_gunicorns_own_name_for_the_number_of_workers_comes_first() -> None:
    assert configured()["workers"] == configured()["usable_processors"]()
    assert "workers" not in configured(WEB_CONCURRENCY="3")
    assert configured(TASKS_THREADS="9")["threads"] == 9


def test_a_wrong_setting_stops_the_start_with_one_line(tmp_path: Path) -> None:
    options = ("--bind", "127.0.0.1:0", "--workers", "1", "--log-level", "critical")
    code, said = gunicorn(tmp_path, *options, RATELIMIT_STORAGE_URI="memcached://localhost:11211")
    assert code == 4
    (line,) = set(said.splitlines())
    assert "TASKS_RATELIMIT_STORAGE_URI must be memory:// or like redis://" in line


def test_make_run_serves_at_an_ipv6_address_and_says_where(tmp_path: Path) -> None:
    port = free_port()
    settings = environment(tmp_path, LOG_LEVEL="WARNING")
    target = ["run"]
    if databases.server:  # which is there already: nothing to compose
        target = ["run-sqlserver", "COMPOSE=true", f"SQLSERVER={settings['TASKS_DATABASE_URL']}"]
    log, url = tmp_path / "said", f"http://[::1]:{port}"
    command = ("make", *target, "HOST=::1", f"PORT={port}")
    with (
        log.open("w") as file,
        running(url, tmp_path, *command, environ=settings, output=file.fileno()) as live,
    ):
        body = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD}
        assert live.post("/api/users/login", body).status_code == 200
    said = log.read_text()
    assert DEMO_EMAIL in said
    assert f"Listening at: {url}" in said


def test_two_masters_may_share_a_port(tmp_path: Path) -> None:
    port = free_port()
    both = [f"--bind=127.0.0.1:{port}", "--reuse-port"]  # beside an address of its own
    with serving(tmp_path, *both) as one, serving(tmp_path, *both) as other:
        assert one.process.poll() is None
        assert other.process.poll() is None


def test_a_socket_of_systemds_is_served(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handed_on = f"{GUNICORN} wsgi:app 3<&{listener.fileno()}"
        process = subprocess.Popen(
            ["bash", "-c", f"LISTEN_PID=$$ LISTEN_FDS=1 exec {handed_on}"],
            cwd=ROOT,
            env=environment(tmp_path) | {"WEB_CONCURRENCY": "1"},
            pass_fds=(listener.fileno(),),
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/health/live"
        assert requests.get(url, timeout=30).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


# --- reloading -------------------------------------------------------------------------------------------


def test_wrong_settings_are_found_before_a_reload_and_end_nothing_that_serves(
    tmp_path: Path,
) -> None:
    """A HUP with wrong settings would end what serves: first --check-config, or USR2, as documented."""
    file = tmp_path / "settings.cfg"
    with serving(tmp_path) as live:
        file.write_text("MAX_SESIONS = 5\n")
        wrong = f"tasks-api: MAX_SESIONS in {file} is not a setting\n"
        assert gunicorn(tmp_path, "--check-config") == (4, wrong)
        live.process.send_signal(signal.SIGUSR2)  # a new master, which cannot start
        wait_for(lambda: len(workers_of(live)) == 2)
        wait_for(lambda: len(workers_of(live)) == 1)
        assert live.get("/health/ready").status_code == 200
        file.write_text("DOCS_ENABLED = False\n")
        assert gunicorn(tmp_path, "--check-config")[0] == 0
        before = set(workers_of(live))
        live.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not before & set(workers_of(live)))
        assert live.get("/swagger").status_code == 404
        assert live.get("/health/ready").status_code == 200


def test_a_new_master_takes_over_and_no_request_is_lost(tmp_path: Path) -> None:
    """USR2, then TERM to the old one, as gunicorn's documentation has it."""
    old, new = tmp_path / "pid", tmp_path / "pid.2"
    with serving(tmp_path, "--pid", str(old), workers=2) as live:
        with working(2, lambda: live.get("/health/ready")) as answers:
            live.process.send_signal(signal.SIGUSR2)
            master = int(wait_for(lambda: new.exists() and new.read_text()))
            wait_for(lambda: len(children(master)) == 2)
            time.sleep(1)  # until they listen
            live.process.send_signal(signal.SIGTERM)
            assert live.process.wait(30) == 0
            alone = answers[200]
            wait_for(lambda: answers[200] > alone + 20)
        assert answers.keys() == {200}
        assert "tasks_request_seconds_count" in live.get("/metrics").text  # its folder is its own
        os.kill(master, signal.SIGTERM)
        wait_for(lambda: not Path(f"/proc/{master}").exists())


# --- stopping --------------------------------------------------------------------------------------------


def test_sigterm_finishes_what_is_in_flight_and_leaves_the_database_in_one_file(
    tmp_path: Path,
) -> None:
    slow = "3000000"  # iterations: a login of about a second
    with serving(tmp_path, PASSWORD_ITERATIONS=slow) as live, ThreadPoolExecutor(1) as pool:
        new_user(live, "slow@example.com")
        at_once(8, lambda: live.get("/health/ready"))
        answer = pool.submit(lambda: log_in(live, "slow@example.com"))
        time.sleep(0.3)
        assert not answer.done()
        live.process.send_signal(signal.SIGTERM)
        assert answer.result()["accessToken"]
        assert live.process.wait(30) == 0
    assert list(tmp_path.glob("tasks.db-*")) == []
