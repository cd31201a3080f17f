"""Dockerfile and compose.yaml, as far as they can be tried without Docker."""

import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tasks_api.config import ROOT
from tests.live import (
    Live,
    bearer,
    environment,
    free_port,
    load_settings,
    new_user,
    output_of,
    run,
    running,
    serving,
    wait_for,
    workers_of,
    working,
)

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PORT = "5217"
needs_nginx = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")


def exec_form(pattern: str) -> list[str]:
    """The command in an instruction of the Dockerfile."""
    (found,) = re.findall(pattern + r"\s+(\[.*\])$", DOCKERFILE, re.MULTILINE)
    return list(json.loads(found))


def test_the_files_of_the_image_and_its_commands_are_enough(tmp_path: Path) -> None:
    image, instance, port = tmp_path / "app", tmp_path / "instance", str(free_port())
    for line in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        for name in sources:
            target = image / name
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-r", ROOT / name, target], check=True)
            assert f"!{name}" in (ROOT / ".dockerignore").read_text().splitlines()
    settings = environment(instance) | {"PYTHONPATH": str(image), "PYTHONDONTWRITEBYTECODE": "1"}
    settings["PATH"] = f"{Path(sys.executable).parent}:{settings['PATH']}"
    settings["PORT"] = port
    health = exec_form(r"^\s+CMD")
    before = sorted(image.rglob("*"))
    url = f"http://127.0.0.1:{port}"
    with running(url, instance, *exec_form("^CMD"), environ=settings, folder=image) as live:
        output_of(*health, environ=settings)
    assert live.process.returncode == 0
    assert run(*health, environ=settings)[0] != 0
    assert sorted(image.rglob("*")) == before  # so its root can be read-only
    assert f" PORT={PORT}\n" in DOCKERFILE


def test_the_environment_of_compose_is_made_of_settings() -> None:
    for service in SERVICES.values():
        if "env_file" in service:
            assert load_settings(service["environment"]).database_file is None


def nginx(folder: Path, replicas: list[Live]) -> AbstractContextManager[Live]:
    """nginx as compose.yaml configures it, in front of ``replicas``."""
    port = free_port()
    config = COMPOSE["configs"]["proxy"]["content"].replace("$$", "$")
    for number, replica in enumerate(replicas, 1):
        here = replica.url.removeprefix("http://")
        config = config.replace(f"replica-{number}:{PORT} resolve", here)
    assert "resolve" not in config.replace("resolver", "")
    config = config.replace("listen 8080", f"listen 127.0.0.1:{port}")
    kinds = ("proxy", "client_body", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder};" for kind in kinds)
    user = "user root; " if os.getuid() == 0 else ""  # so that nginx can write into the folder
    (folder / "nginx.conf").write_text(
        f"{user}daemon off; pid {folder}/pid; error_log stderr; events {{}} "
        f"http {{ access_log off; {paths} {config} }}"
    )
    command = ("nginx", "-c", str(folder / "nginx.conf"))
    return running(f"http://127.0.0.1:{port}", folder, *command)


@contextmanager
def replicated(folder: Path) -> Iterator[tuple[Live, list[Live]]]:
    """Two replicas with compose.yaml's settings, and the proxy in front of them."""
    count = SERVICES["replica-1"]["environment"]["TASKS_TRUSTED_PROXIES"]
    with ExitStack() as stack:
        replicas = [stack.enter_context(serving(folder, TRUSTED_PROXIES=count)) for _ in range(2)]
        yield stack.enter_context(nginx(folder, replicas)), replicas


def test_gunicorn_keeps_idle_connections_longer_than_the_proxy() -> None:
    config = COMPOSE["configs"]["proxy"]["content"]
    (seconds,) = re.findall(r"keepalive_timeout (\d+)s;", config)
    assert runpy.run_path(str(ROOT / "gunicorn.conf.py"))["keepalive"] > int(seconds)


@needs_nginx
def test_two_replicas_behind_the_proxy_are_one_service(tmp_path: Path) -> None:
    with replicated(tmp_path) as (proxy, replicas):
        tokens = new_user(proxy, "proxied@example.com")
        for _ in range(6):
            tokens = proxy.refresh(tokens).json()
        assert all("refresh_token" in replica.get("/metrics").text for replica in replicas)
        assert proxy.get("/metrics").status_code == 404
        assert proxy.get("/health/ready").status_code == 404
        forged = bearer(tokens["accessToken"]) | {"X-Forwarded-For": "203.0.113.9"}
        url = f"{proxy.url}/api/users/sessions"
        (session,) = requests.get(url, headers=forged, timeout=30).json()
        assert session["ipAddress"] == "127.0.0.1"
        for _ in range(20):  # gunicorn may close the connection while nginx still sends
            assert proxy.post("/api/tasks", "x" * 70_000).status_code == 413
        replicas[0].process.kill()  # the other goes on
        replicas[0].process.wait()
        for _ in range(6):
            assert proxy.get("/api/tasks", tokens["accessToken"]).status_code == 200


@needs_nginx
def test_replicas_that_are_taken_out_before_they_stop_lose_no_request(tmp_path: Path) -> None:
    """What ``make rollout`` does, under load."""
    with replicated(tmp_path) as (proxy, replicas), ExitStack() as replacements:
        token = new_user(proxy, "rolling@example.com")["accessToken"]
        file = tmp_path / "nginx.conf"

        def reload(old: str, new: str) -> None:
            file.write_text(re.sub(old, new, file.read_text()))
            before = set(workers_of(proxy))
            proxy.process.send_signal(signal.SIGHUP)
            wait_for(lambda: not before & set(workers_of(proxy)))

        with working(4, lambda: proxy.post("/api/tasks", {"name": "x"}, token)) as answers:
            for replica in replicas:
                here = replica.url.removeprefix("http://")
                reload(rf"(server {here}.*?);", r"\1 down;")
                replica.process.send_signal(signal.SIGTERM)
                assert replica.process.wait(30) == 0
                replacements.enter_context(serving(tmp_path, "--bind", here))
                reload(" down;", ";")
        assert answers.keys() == {201}
