"""Under gunicorn: promises of concurrency, proven with processes that share nothing but the database."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from tasks_api.config import ROOT

from .conftest import PASSWORD, Live, databases, environment, free_port, serving


def new_user(live: Live, email: str) -> dict[str, Any]:
    body = {"email": email, "password": PASSWORD, "confirmPassword": PASSWORD, "firstName": "Anna", "lastName": "A"}
    assert live.post("/api/users/signup", body).status_code == 201
    return log_in(live, email)


def log_in(live: Live, email: str) -> dict[str, Any]:
    answer = live.post("/api/users/login", {"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def at_once(count: int, action: Callable[[], requests.Response]) -> list[requests.Response]:
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(action) for _ in range(count)]]


def test_fifty_simultaneous_refreshes_have_one_successor(live: Live) -> None:
    tokens = new_user(live, "fifty@example.com")
    answers = at_once(50, lambda: live.post("/api/users/refresh_token", {"refreshToken": tokens["refreshToken"]}))
    assert Counter(answer.status_code for answer in answers) == {200: 50}
    successors = {answer.json()["refreshToken"] for answer in answers}
    assert len(successors) == 1
    from tasks_api.auth.tokens import decode

    assert decode(successors.pop()).counter == 1
    for answer in answers:
        assert live.get("/api/users/info", answer.json()["accessToken"]).status_code == 200


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("strict"), WORKERS="2", REFRESH_RETRY_SECONDS="0", MAX_SESSIONS="3") as server:
        yield server


def test_without_a_retry_window_exactly_one_of_fifty_wins(strict: Live) -> None:
    tokens = new_user(strict, "strict@example.com")
    answers = at_once(50, lambda: strict.post("/api/users/refresh_token", {"refreshToken": tokens["refreshToken"]}))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 49}


def test_simultaneous_logins_keep_the_session_limit(strict: Live) -> None:
    new_user(strict, "limit@example.com")
    credentials = {"email": "limit@example.com", "password": PASSWORD}
    answers = at_once(12, lambda: strict.post("/api/users/login", credentials))
    assert Counter(answer.status_code for answer in answers) == {200: 12}
    inside = [answer for answer in answers if strict.get("/api/users/info", answer.json()["accessToken"]).ok]
    assert len(inside) == 3


def test_one_of_many_signups_gets_the_email(live: Live) -> None:
    body = {"password": PASSWORD, "confirmPassword": PASSWORD, "firstName": "A", "lastName": "B"}
    answers = at_once(12, lambda: live.post("/api/users/signup", body | {"email": "race@example.com"}))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 11}


def test_simultaneous_writes_all_succeed(live: Live) -> None:
    token = new_user(live, "writer@example.com")["accessToken"]
    answers = at_once(40, lambda: live.post("/api/tasks", {"name": "x"}, token))
    assert Counter(answer.status_code for answer in answers) == {201: 40}
    listed = live.get("/api/tasks", token).json()
    assert sorted(task["id"] for task in listed) == sorted(answer.json()["id"] for answer in answers)


def test_metrics_count_over_all_workers(live: Live) -> None:
    def count() -> float:
        lines = live.get("/metrics").text.splitlines()
        counts = [line for line in lines if line.startswith("tasks_request_seconds_count")]
        return sum(float(line.split()[-1]) for line in counts if 'route="/health/live"' in line)

    before = count()
    at_once(30, lambda: live.get("/health/live"))
    assert count() == before + 30


def test_a_worker_that_is_killed_loses_nothing(live: Live) -> None:
    tokens = new_user(live, "killed@example.com")
    added = [live.post("/api/tasks", {"name": str(n)}, tokens["accessToken"]).json()["id"] for n in range(5)]
    children = Path(f"/proc/{live.process.pid}/task/{live.process.pid}/children").read_text().split()
    subprocess.run(["kill", "-9", *children], check=True)
    for _ in range(100):
        try:
            listed = live.get("/api/tasks", tokens["accessToken"])
            break
        except requests.ConnectionError:
            continue
    assert [task["id"] for task in listed.json()] == added
    assert live.post("/api/users/refresh_token", {"refreshToken": tokens["refreshToken"]}).status_code == 200


def test_sigterm_ends_the_service_with_0_and_the_database_in_one_file(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="2") as live:
        at_once(8, lambda: live.get("/health/ready"))
        new_user(live, "last@example.com")
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(30) == 0
    assert list(tmp_path.glob("tasks.db-*")) == []


def refused(instance: Path, bind: str, **settings: str) -> str:
    """What gunicorn says when it cannot start."""
    command = [sys.executable, "-m", "gunicorn", "--config", "tasks_api/gunicorn_conf.py", "--bind", bind, "wsgi:app"]
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(instance, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    return result.stderr


def test_an_address_that_cannot_be_had_gets_a_sentence(live: Live, tmp_path: Path) -> None:
    for address in (live.url.removeprefix("http://"), "127.0.0.1:99999", "192.0.2.1:5217"):
        assert f"tasks-api: cannot listen on {address}: " in refused(tmp_path, address)


def test_a_package_that_is_missing_is_said_once_and_stops_the_start(tmp_path: Path) -> None:
    said = refused(tmp_path, "127.0.0.1:0", RATELIMIT_STORAGE_URI="memcached://localhost:11211", WORKERS="1")
    assert said.count("TASKS_RATELIMIT_STORAGE_URI needs a package that is not installed") == 1


def test_the_story_of_the_examples_is_true(tmp_path: Path) -> None:
    with serving(tmp_path, WORKERS="2", ACCESS_TOKEN_SECONDS="8", REFRESH_RETRY_SECONDS="1") as live:
        seeded = environment(tmp_path)
        flask = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "seed"]
        subprocess.run(flask, cwd=ROOT, env=seeded, check=True, capture_output=True, timeout=60)
        for script in sorted((ROOT / "examples").glob("*.sh")):
            result = subprocess.run(
                ["bash", str(script)],
                env=seeded | {"URL": live.url},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert result.returncode == 0, result.stdout + result.stderr


def test_the_tour_in_the_readme_is_true(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    tour = readme.split("## Five minutes with curl")[1].split("```sh\n")[1].split("```")[0]
    with serving(tmp_path / "instance", WORKERS="1") as live:
        flask = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "seed"]
        settings = environment(tmp_path / "instance")
        subprocess.run(flask, cwd=ROOT, env=settings, check=True, capture_output=True, timeout=60)
        script = "set -euo pipefail\n" + tour.replace("http://localhost:5217", live.url)
        result = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
    for expected in (
        "Read how refresh tokens rotate",
        '"id":6,"name":"Try curl"',
        '"current":true',
        '"errorCode":"A04"',
    ):
        assert expected in result.stdout


def test_make_run_serves_and_says_where(tmp_path: Path) -> None:
    port = free_port()
    settings = environment(tmp_path, WORKERS="1", LOG_LEVEL="WARNING")
    target = ["run"]
    if databases.server:  # which is there already: nothing to compose
        target = ["run-sqlserver", "COMPOSE=true", f"SQLSERVER={settings['TASKS_DATABASE_URL']}"]
    process = subprocess.Popen(
        ["make", *target, f"PORT={port}"],
        cwd=ROOT,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if "/swagger" in line:
            break
    live = Live(f"http://127.0.0.1:{port}", cast(Any, process), tmp_path)
    try:
        demo = live.post("/api/users/login", {"email": "anna@example.com", "password": "Tasks-demo-2026"})
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()
    assert demo.status_code == 200
    assert "anna@example.com" in said
    assert f"http://localhost:{port}/swagger" in said
