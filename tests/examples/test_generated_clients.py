"""The OpenAPI document has no warnings, and two generators make working clients of it: make test-clients."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tasks_api.config import ROOT
from tests.live import PASSWORD, Live, environment, new_user, output_of

FOLDER = ROOT / "tests" / "examples" / "clients"
PROGRAMS = FOLDER / "node_modules" / ".bin"
GENERATOR = Path(sys.executable).with_name("openapi-python-client")

pytestmark = pytest.mark.skipif(
    not (PROGRAMS.exists() and GENERATOR.exists()),
    reason="the generators are not installed: make test-clients",
)
Run = Callable[..., str]


@pytest.fixture
def run(client: FlaskClient, tmp_path: Path) -> Run:
    """Runs a command, which must succeed, in a folder with the document and the stories."""
    for name in ("story.ts", "story.py", ".spectral.yaml", "package.json"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    (tmp_path / "openapi.json").write_text(client.get("/openapi.json").text)
    path = os.pathsep.join([str(PROGRAMS), str(GENERATOR.parent), os.environ["PATH"]])
    environ = environment(tmp_path) | {"PATH": path}
    return lambda *command: output_of(*command, environ=environ, folder=tmp_path)


def test_a_linter_has_nothing_to_say(run: Run) -> None:
    run("spectral", "lint", "--fail-severity=hint", "openapi.json")


def test_a_typescript_client_compiles_strictly_and_works(run: Run, live: Live) -> None:
    email = "typescript@example.com"
    new_user(live, email)
    run("openapi-typescript", "openapi.json", "--output", "schema.ts")
    run("tsc", "--strict", "--module", "nodenext", "--target", "es2022", "story.ts")
    said = run("node", "story.js", live.url, email, PASSWORD)
    assert json.loads(said) == ["from TypeScript", ["from TypeScript"], "T01"]


def test_a_python_client_type_checks_strictly_and_works(run: Run, live: Live) -> None:
    email = "python@example.com"
    new_user(live, email)
    where = ("--path", "openapi.json", "--output-path", "tasks_api_client", "--meta", "none")
    run("openapi-python-client", "generate", *where)
    # The generator's own code has errors of its own (client.py, __exit__).
    run("python", "-m", "mypy", "--strict", "--follow-imports=silent", "story.py")
    said = run("python", "story.py", live.url, email, PASSWORD)
    assert json.loads(said) == ["from Python", ["from Python"], "T01"]
