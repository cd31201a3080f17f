"""What the image and compose.yaml say, as far as it can be run outside of them."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tasks_api.config import ROOT

from .conftest import Live, environment, free_port, serving
from .test_live import new_user

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
            kept = shutil.ignore_patterns("__pycache__")
            source, target = ROOT / name, image / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target, ignore=kept) if source.is_dir() else shutil.copy(source, target)
            assert f"!{name}" in (ROOT / ".dockerignore").read_text().splitlines()
    settings = environment(instance) | {"PYTHONPATH": str(image), "PYTHONDONTWRITEBYTECODE": "1"}
    settings["PATH"] = f"{Path(sys.executable).parent}:{settings['PATH']}"
    command = [part.replace("0.0.0.0:" + PORT, "127.0.0.1:" + port) for part in exec_form("^CMD")]
    health = [part.replace(PORT, port) for part in exec_form(r"^\s+CMD")]
    before = sorted(image.rglob("*"))
    process = subprocess.Popen(command, cwd=image, env=settings, stdout=subprocess.DEVNULL)

    def is_healthy() -> bool:
        return subprocess.run(health, env=settings, capture_output=True, check=False).returncode == 0

    try:
        for _ in range(40):
            if is_healthy():
                break
            time.sleep(0.1)
        assert is_healthy()
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert not is_healthy()
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
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
    published = [port for service in services.values() for port in service.get("ports", []) if PORT in port]
    assert len(published) == 1


def test_its_settings_are_settings() -> None:
    from tasks_api.config import Settings

    for service in COMPOSE["services"].values():
        given = {name: text for name, text in service.get("environment", {}).items() if name.startswith("TASKS_")}
        if given:
            given["TASKS_DATABASE_URL"] = given["TASKS_DATABASE_URL"].replace("${MSSQL_SA_PASSWORD:-}", "a%20password")
            keys = {"TASKS_JWT_SECRET_KEY": "k" * 40, "TASKS_REFRESH_TOKEN_KEY": "k" * 40}
            assert not Settings.load(given | keys, Path("/nowhere")).is_sqlite


@contextmanager
def nginx(folder: Path, replicas: list[Live]) -> Iterator[str]:
    """nginx as compose.yaml configures it, in front of ``replicas``."""
    port = free_port()
    config = COMPOSE["configs"]["proxy"]["content"].replace("$$", "$")
    servers = "".join(f"server {live.url.removeprefix('http://')};" for live in replicas)
    config, found = re.subn(rf"server replica:{PORT} resolve .*?;", servers, config)
    assert found == 1
    config = config.replace("listen 8080", f"listen 127.0.0.1:{port}")
    paths = "".join(f"{kind}_temp_path {folder};" for kind in ("proxy", "client_body", "fastcgi", "uwsgi", "scgi"))
    user = "user root; " if os.getuid() == 0 else ""  # who can write into the folder
    frame = (
        f"{user}daemon off; pid {folder}/pid; error_log stderr; events {{}} http {{ access_log off; {paths} {config} }}"
    )
    (folder / "nginx.conf").write_text(frame)
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")], env=os.environ)
    for _ in range(50):
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
            break
        except requests.ConnectionError:
            time.sleep(0.1)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@needs_nginx
def test_two_replicas_behind_the_proxy_are_one_service(tmp_path: Path) -> None:
    replica: dict[str, Any] = COMPOSE["services"]["replica"]["environment"]
    settings = {"TRUSTED_PROXIES": replica["TASKS_TRUSTED_PROXIES"], "KEEPALIVE": replica["TASKS_KEEPALIVE"]}
    shared: dict[str, Any] = settings | {"WORKERS": "1"}
    with ExitStack() as stack:
        one = stack.enter_context(serving(tmp_path, **shared))
        other = stack.enter_context(serving(tmp_path, **shared))
        url = stack.enter_context(nginx(tmp_path, [one, other]))
        tokens = new_user(one, "proxied@example.com")
        lie = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Prefix": "//evil.example",
        }
        for _ in range(6):
            body = {"refreshToken": tokens["refreshToken"]}
            answer = requests.post(f"{url}/api/users/refresh_token", json=body, headers=lie, timeout=10)
            assert answer.status_code == 200
            tokens = answer.json()
        headers = lie | {"Authorization": f"Bearer {tokens['accessToken']}"}
        (session,) = requests.get(f"{url}/api/users/sessions", headers=headers, timeout=10).json()
        assert session["ipAddress"] == "127.0.0.1"
        asked = [
            sum("refresh_token" in line for line in live.get("/metrics").text.splitlines()) for live in (one, other)
        ]
        assert all(asked)
        assert requests.get(f"{url}/metrics", timeout=10).status_code == 404
        assert requests.get(f"{url}/health/ready", timeout=10).status_code == 404
        large = requests.post(f"{url}/api/tasks", data=b"x" * 70_000, headers=headers, timeout=10)
        assert (large.status_code, large.json()["errorCode"]) == (413, "too_large")
        added = requests.post(f"{url}/api/tasks", json={"name": "x"}, headers=headers, timeout=10)
        assert added.headers["Location"] == f"/api/tasks/{added.json()['id']}"
        one.process.kill()  # the other goes on
        one.process.wait()
        time.sleep(0.5)
        answers = [requests.get(f"{url}/api/tasks", headers=headers, timeout=10).status_code for _ in range(6)]
        assert answers == [200] * 6
