"""Where it lives: what docs/platforms.md and examples/kubernetes.yaml say, as far as it can be run outside of them."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient

from tasks_api.config import ROOT, Settings
from tests.live import (
    code_block,
    environment,
    free_port,
    new_user,
    output_of,
    run,
    running,
)

MANIFESTS: dict[str, dict[str, Any]] = {
    each["kind"]: each
    for each in yaml.safe_load_all((ROOT / "examples" / "kubernetes.yaml").read_text())
}
KEYS = {"TASKS_JWT_SECRET_KEY": "k" * 40, "TASKS_REFRESH_TOKEN_KEY": "k" * 40}


def pod(kind: str) -> dict[str, Any]:
    return dict(MANIFESTS[kind]["spec"]["template"]["spec"])


def container(kind: str) -> dict[str, Any]:
    (found,) = pod(kind)["containers"]
    return dict(found)


def test_a_pod_has_no_rights_and_no_user_id_of_its_own() -> None:
    for kind in ("Job", "Deployment"):
        assert pod(kind)["securityContext"]["runAsNonRoot"]
        assert not pod(kind)["automountServiceAccountToken"]
        assert "runAsUser" not in str(pod(kind))
        rights = container(kind)["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"]["drop"] == ["ALL"]


def test_everything_selects_the_service_and_nothing_else() -> None:
    labels = MANIFESTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    spread = pod("Deployment")["topologySpreadConstraints"][0]["labelSelector"]
    disruption = MANIFESTS["PodDisruptionBudget"]["spec"]["selector"]
    selector = MANIFESTS["Deployment"]["spec"]["selector"]
    assert selector == disruption == spread == {"matchLabels": labels}
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert MANIFESTS["Job"]["spec"]["template"]["metadata"]["labels"] != labels
    target = MANIFESTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target["kind"] == "Deployment"
    assert target["name"] == MANIFESTS["Deployment"]["metadata"]["name"]
    assert container("Job")["image"] == container("Deployment")["image"]


def test_its_probes_and_ports_are_the_services(client: FlaskClient) -> None:
    service = container("Deployment")
    (port,) = service["ports"]
    assert f"0.0.0.0:{port['containerPort']}" in (ROOT / "Dockerfile").read_text()
    assert MANIFESTS["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert service[probe]["httpGet"]["port"] == port["name"]
        assert client.get(service[probe]["httpGet"]["path"]).status_code == 200


def test_a_pod_is_given_time_to_finish_what_it_began() -> None:
    _, seconds = container("Deployment")["lifecycle"]["preStop"]["exec"]["command"]
    assert pod("Deployment")["terminationGracePeriodSeconds"] > int(seconds) + 30  # gunicorn's own
    assert MANIFESTS["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_its_settings_are_settings() -> None:
    named = {each["name"]: each["value"] for each in container("Deployment")["env"]}
    commands = code_block("docs/platforms.md", "## Kubernetes")
    secrets = dict(re.findall(r"--from-literal=(\w+)='?(\"\$.*?\"|[^']+)'?", commands))
    assert secrets.keys() == KEYS.keys() | {"TASKS_DATABASE_URL", "TASKS_RATELIMIT_STORAGE_URI"}
    given = named | secrets | KEYS
    ours = {name: value for name, value in given.items() if name.startswith("TASKS_")}
    settings = Settings.load(ours, Path("/nowhere"))
    assert settings.trusted_proxies == 1
    assert settings.sqlserver["server"] == "db.example.com"
    azure = re.search(r'TASKS_DATABASE_URL="(.*)"', code_block("docs/platforms.md", "## Azure"))
    assert azure
    known = Settings.load(KEYS | {"TASKS_DATABASE_URL": azure[1]}, Path("/nowhere")).sqlserver
    assert known["authentication"] == "ActiveDirectoryMsi"


# Without what Windows lacks most: these modules and functions, and UTF-8 as the encoding of files.
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
    command = [sys.executable, "-c", WINDOWS]
    words = code_block("docs/platforms.md", "## Windows", "powershell").split(
        ".venv\\Scripts\\flask "
    )
    assert len(words) == 4
    for line in (*words[2:3], "--app tasks_api db seed"):
        output_of(*command, *line.split(), environ=settings)
    port = str(free_port())
    command += words[3].replace("5217", port).split()
    with running(f"http://127.0.0.1:{port}", tmp_path, *command, environ=settings) as live:
        assert live.get("/health/ready").status_code == 200
        assert "…" in live.get("/").content.decode()
        tokens = live.refresh(new_user(live, "windows@example.com")).json()
        added = live.post("/api/tasks", {"name": "日本"}, tokens["accessToken"])
        assert added.json()["name"] == "日本"


def test_files_keep_their_line_ends_where_git_would_change_them() -> None:
    """A shell script with Windows' own does not run in WSL nor in a container."""
    code, named = run("git", "check-attr", "eol", "examples/story.sh", "sql/sqlite/seed.sql")
    if code:
        pytest.skip("this is no git repository")
    assert named.count(": eol: lf") == 2
