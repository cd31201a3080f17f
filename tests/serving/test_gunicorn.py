"""gunicorn as gunicorn.conf.py sets it up."""

import os
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tasks_api.config import ROOT
from tasks_api.database.commands import DEMO_EMAIL, DEMO_PASSWORD
from tests.databases import databases
from tests.live import (
    GUNICORN,
    environment,
    free_port,
    run,
    running,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, which has no .env."""
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "WEB_CONCURRENCY", "TASKS_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def configured() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


def test_without_settings_it_listens_on_loopback_with_a_worker_for_each_processor(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {4, 7, 8})
    monkeypatch.setenv("WEB_CONCURRENCY", "")
    found = configured()
    assert (found["bind"], found["workers"], found["threads"]) == ("127.0.0.1:5217", 3, 8)


def test_workers_and_threads_come_from_the_environment_or_dotenv(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("WEB_CONCURRENCY=3\nTASKS_THREADS=1\n")
    monkeypatch.setenv("TASKS_THREADS", "9")
    found = configured()
    assert (found["workers"], found["threads"]) == (3, 9)


def test_a_reload_reads_dotenv_again(folder: Path) -> None:
    for threads in (3, 4):
        (folder / ".env").write_text(f"TASKS_THREADS={threads}\n")
        assert configured()["threads"] == threads


@pytest.mark.parametrize("name", ["RATELIMIT_STORAGE_URI", "THREADS"])
@pytest.mark.parametrize("option", ["--bind=127.0.0.1:0", "--check-config"])
def test_a_wrong_setting_ends_gunicorn_and_is_named(
    tmp_path: Path, name: str, option: str
) -> None:
    environ = environment(tmp_path, **{name: "wrong"})
    code, said = run(GUNICORN, option, "wsgi:app", environ=environ)
    assert code != 0
    assert re.search(rf"^tasks-api: TASKS_{name}\b", said, re.MULTILINE)


def test_a_start_that_fails_leaves_no_folder_of_metrics(tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    source = (ROOT / "gunicorn.conf.py").read_text()
    config.write_text(f"{source}\n_MEMORY = {str(tmp_path)!r}\n")
    environ = environment(tmp_path, THREADS="wrong")
    run(GUNICORN, f"--config={config}", "--bind=127.0.0.1:0", "wsgi:app", environ=environ)
    assert not list(tmp_path.glob("tasks-api-*"))


def test_make_run_serves_at_an_ipv6_address_and_says_where(tmp_path: Path) -> None:
    port = free_port()
    environ = environment(tmp_path)
    target = ["run"]
    if databases.server:  # which is there already: nothing to compose
        target = ["run-sqlserver", "COMPOSE=true", f"SQLSERVER={environ['TASKS_DATABASE_URL']}"]
    log, url = tmp_path / "said", f"http://[::1]:{port}"
    command = ("make", *target, "HOST=::1", f"PORT={port}")
    with (
        log.open("w") as file,
        running(url, tmp_path, *command, environ=environ, output=file.fileno()) as live,
    ):
        body = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD}
        assert live.post("/api/users/login", body).status_code == 200
    said = log.read_text()
    assert DEMO_EMAIL in said
    assert f"Listening at: {url}" in said
