"""examples/kubernetes.yaml and docs/platforms.md, as far as they can be tried on this machine."""

import re
import sys
from pathlib import Path
from typing import Any

import yaml
from flask.testing import FlaskClient

from tasks_api.config import ROOT
from tests.live import (
    code_block,
    environment,
    free_port,
    load_settings,
    new_user,
    output_of,
    running,
)

MANIFESTS: dict[str, dict[str, Any]] = {
    each["kind"]: each
    for each in yaml.safe_load_all((ROOT / "examples" / "kubernetes.yaml").read_text())
}


(CONTAINER,) = MANIFESTS["Deployment"]["spec"]["template"]["spec"]["containers"]


def test_the_probes_ask_the_service_at_the_port_of_the_image(client: FlaskClient) -> None:
    (port,) = CONTAINER["ports"]
    assert f"EXPOSE {port['containerPort']}\n" in (ROOT / "Dockerfile").read_text()
    assert MANIFESTS["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = CONTAINER[probe]["httpGet"]
        assert asked["port"] == port["name"]
        assert client.get(asked["path"]).status_code == 200


def test_the_environment_of_kubernetes_is_made_of_settings() -> None:
    keys = {"TASKS_JWT_SECRET_KEY": "k" * 40, "TASKS_REFRESH_TOKEN_KEY": "k" * 40}
    of_pod = {each["name"]: each["value"] for each in CONTAINER["env"]}
    commands = code_block("docs/platforms.md", "## Kubernetes")
    secrets = dict(re.findall(r"--from-literal=(\w+)='?(\"\$.*?\"|[^']+)'?", commands))
    assert secrets.keys() > keys.keys()
    settings = load_settings(of_pod | secrets | keys)
    assert settings.database_file is None
    assert settings.trusted_proxies == 1


# Flask without what Windows lacks: these modules and functions, and UTF-8 as the encoding of files.
WINDOWS = """
import os, runpy, sys
for name in ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
for name in ("chown", "fchmod", "fork", "getuid", "register_at_fork", "sched_getaffinity"):
    delattr(os, name)
sys.argv = ["flask", *sys.argv[1:]]
runpy.run_module("flask", run_name="__main__")
"""
ASCII = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}


def test_the_service_needs_nothing_that_windows_lacks(tmp_path: Path) -> None:
    settings = environment(tmp_path) | ASCII
    block = code_block("docs/platforms.md", "## Windows", "powershell")
    *_, upgrade, serve = re.findall(r"^\.venv\\Scripts\\flask (.*)", block, re.MULTILINE)
    for words in (upgrade, "--app tasks_api db seed"):
        output_of(sys.executable, "-c", WINDOWS, *words.split(), environ=settings)
    port = str(free_port())
    command = (sys.executable, "-c", WINDOWS, *serve.replace("5217", port).split())
    with running(f"http://127.0.0.1:{port}", tmp_path, *command, environ=settings) as live:
        assert live.get("/health/ready").status_code == 200
        tokens = live.refresh(new_user(live, "windows@example.com")).json()
        added = live.post("/api/tasks", {"name": "日本"}, tokens["accessToken"])
        assert added.json()["name"] == "日本"
