"""The OpenAPI document has no warnings, and two generators make clients of it that work: make test-clients."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tasks_api.config import ROOT
from tests.live import PASSWORD, Live, new_user

FOLDER = ROOT / "tests" / "examples" / "clients"
GENERATOR = Path(sys.executable).with_name("openapi-python-client")

pytestmark = pytest.mark.skipif(
    not ((FOLDER / "node_modules").exists() and GENERATOR.exists()),
    reason="the generators are not installed: make test-clients",
)


@pytest.fixture
def folder(client: FlaskClient, tmp_path: Path) -> Path:
    """Where the clients are made, with the document."""
    for name in ("story.ts", "story.py", ".spectral.yaml", "package.json"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    (tmp_path / "openapi.json").write_text(client.get("/openapi.json").text)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    """What a command says that must succeed; those of npm's are named without their folder."""
    program = folder / "node_modules" / ".bin" / command[0]
    first = str(program) if program.exists() else command[0]
    done = subprocess.run(
        [first, *command[1:]], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def has_told(said: str, language: str) -> bool:
    return bool(json.loads(said) == [f"from {language}", [f"from {language}"], "T01"])


def test_a_linter_has_nothing_to_say(folder: Path) -> None:
    run(folder, "spectral", "lint", "--fail-severity=hint", "openapi.json")


def test_a_typescript_client_compiles_strictly_and_works(folder: Path, live: Live) -> None:
    new_user(live, "typescript@example.com")
    run(folder, "openapi-typescript", "openapi.json", "--output", "schema.ts")
    run(folder, "tsc", "--strict", "--module", "nodenext", "--target", "es2022", "story.ts")
    said = run(folder, "node", "story.js", live.url, "typescript@example.com", PASSWORD)
    assert has_told(said, "TypeScript")


def test_a_python_client_type_checks_strictly_and_works(folder: Path, live: Live) -> None:
    new_user(live, "python@example.com")
    made = ("--path", "openapi.json", "--output-path", "made", "--meta", "none")
    run(folder, str(GENERATOR), "generate", *made)
    (folder / "made").rename(folder / "tasks_api_client")
    run(folder, sys.executable, "-m", "mypy", "--strict", "story.py")
    said = run(folder, sys.executable, "story.py", live.url, "python@example.com", PASSWORD)
    assert has_told(said, "Python")
