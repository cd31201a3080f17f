"""What the image and compose.yaml say, as far as it can be run outside of them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tasks_api.config import ROOT, Settings
from tests.live import (
    Live,
    at_once,
    bearer,
    environment,
    free_port,
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
PORT = "5217"
needs_nginx = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")


def exec_form(pattern: str) -> list[str]:
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
    command = [part.replace("0.0.0.0:" + PORT, "127.0.0.1:" + port) for part in exec_form("^CMD")]
    health = [part.replace(PORT, port) for part in exec_form(r"^\s+CMD")]
    before = sorted(image.rglob("*"))
    url = f"http://127.0.0.1:{port}"
    with running(url, instance, *command, environ=settings, folder=image) as live:
        output_of(*health, environ=settings)
    assert live.process.returncode == 0
    assert run(*health, environ=settings)[0] != 0
    assert sorted(image.rglob("*")) == before  # its root can be read-only


def test_nothing_runs_with_more_rights_than_it_needs() -> None:
    assert re.search(r"^USER \d+$", DOCKERFILE, re.MULTILINE)
    for name, service in COMPOSE["services"].items():
        assert service["profiles"], name
        assert service["restart"] == ("no" if name == "upgrade" else "unless-stopped"), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if service.get("build"):
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
        else:
            assert re.search(r":[\d.]+\S*$", service["image"]), name


@pytest.mark.parametrize("profile", ["sqlite", "sqlserver", "replicas"])
def test_a_profile_has_what_it_depends_on(profile: str) -> None:
    services = {name: it for name, it in COMPOSE["services"].items() if profile in it["profiles"]}
    published: list[str] = []
    for service in services.values():
        assert service.get("depends_on", {}).keys() <= services.keys()
        published += service.get("ports", [])
    assert len([port for port in published if PORT in port]) == 1


@pytest.mark.parametrize("name", ["upgrade", "service-on-sqlserver", "replica-1", "replica-2"])
def test_its_settings_are_settings(name: str) -> None:
    given = {"TASKS_JWT_SECRET_KEY": "k" * 40, "TASKS_REFRESH_TOKEN_KEY": "k" * 40}
    for setting, value in COMPOSE["services"][name]["environment"].items():
        if setting.startswith("TASKS_"):
            given[setting] = value.replace("${MSSQL_SA_PASSWORD:-}", "a%20password")
    assert Settings.load(given, Path("/nowhere")).sqlserver


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
    user = "user root; " if os.getuid() == 0 else ""  # who can write into the folder
    (folder / "nginx.conf").write_text(
        f"{user}daemon off; pid {folder}/pid; error_log stderr; events {{}} "
        f"http {{ access_log off; {paths} {config} }}"
    )
    command = ("nginx", "-c", str(folder / "nginx.conf"))
    return running(f"http://127.0.0.1:{port}", folder, *command)


@contextmanager
def replicated(folder: Path) -> Iterator[tuple[Live, list[Live]]]:
    """Two replicas with compose.yaml's settings, and the proxy in front of them."""
    given = COMPOSE["services"]["replica-1"]["environment"]
    settings = {"TRUSTED_PROXIES": given["TASKS_TRUSTED_PROXIES"]}
    options = given["GUNICORN_CMD_ARGS"].split()
    with ExitStack() as stack:
        replicas = [stack.enter_context(serving(folder, *options, **settings)) for _ in range(2)]
        yield stack.enter_context(nginx(folder, replicas)), replicas


@needs_nginx
def test_two_replicas_behind_the_proxy_are_one_service(tmp_path: Path) -> None:
    with replicated(tmp_path) as (proxy, replicas):
        tokens = new_user(proxy, "proxied@example.com")
        for _ in range(6):
            tokens = proxy.refresh(tokens).json()
        assert all("refresh_token" in replica.get("/metrics").text for replica in replicas)
        assert proxy.get("/metrics").status_code == 404
        assert proxy.get("/health/ready").status_code == 404
        with requests.Session() as liar:
            liar.headers.update(bearer(tokens["accessToken"]))
            liar.headers["X-Forwarded-For"] = "203.0.113.9"
            liar.headers["X-Forwarded-Host"] = "evil.example"
            liar.headers["X-Forwarded-Prefix"] = "//evil.example"
            (session,) = liar.get(f"{proxy.url}/api/users/sessions").json()
            assert session["ipAddress"] == "127.0.0.1"
            large = liar.post(f"{proxy.url}/api/tasks", data=b"x" * 70_000)
            assert (large.status_code, large.json()["errorCode"]) == (413, "too_large")
            added = liar.post(f"{proxy.url}/api/tasks", json={"name": "x"})
            assert added.headers["Location"] == f"/api/tasks/{added.json()['id']}"
        replicas[0].process.kill()  # the other goes on
        replicas[0].process.wait()
        answers = {proxy.get("/api/tasks", tokens["accessToken"]).status_code for _ in range(6)}
        assert answers == {200}


@needs_nginx
def test_two_hundred_slow_clients_of_the_proxy_starve_nobody(tmp_path: Path) -> None:
    """Each would hold a thread of a service without a proxy, and there are eight."""
    with replicated(tmp_path) as (proxy, _), ExitStack() as slow:
        host, port = proxy.url.removeprefix("http://").split(":")
        for _ in range(200):
            client = slow.enter_context(socket.create_connection((host, int(port))))
            client.sendall(
                b"POST /api/users/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b'Content-Length: 100\r\n\r\n{"email": "'
            )
        began = time.monotonic()
        answers = at_once(16, lambda: proxy.get("/api/tasks").status_code)
        assert answers == [401] * 16
        assert new_user(proxy, "quick@example.com")
        assert time.monotonic() - began < 5


@needs_nginx
def test_replicas_that_are_taken_out_before_they_stop_lose_no_request(tmp_path: Path) -> None:
    """What ``make rollout`` does, while people work."""
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
