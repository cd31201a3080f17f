"""README's tour and the shell scripts are true."""

import subprocess
from pathlib import Path

from tasks_api.config import ROOT
from tests.live import code_block, environment, flask, serving


def test_the_story_of_the_examples_is_true(tmp_path: Path) -> None:
    with serving(tmp_path, ACCESS_TOKEN_SECONDS="8", REFRESH_RETRY_SECONDS="1") as live:
        assert flask(tmp_path, "db", "seed")[0] == 0
        run(f"bash {ROOT}/examples/story.sh", tmp_path, URL=live.url)


def test_the_tour_in_the_readme_and_the_example_about_devices_are_true(tmp_path: Path) -> None:
    tour = code_block("README.md", "## Five minutes with curl")
    with serving(tmp_path / "instance") as live:
        assert flask(tmp_path / "instance", "db", "seed")[0] == 0
        said = run(tour.replace("http://localhost:5217", live.url), tmp_path)
        run(f"bash {ROOT}/examples/devices.sh", tmp_path, URL=live.url)
    assert "Read how refresh tokens rotate" in said
    assert '"id":6,"name":"Try curl"' in said
    assert '"current":true' in said
    assert '"errorCode":"A04"' in said


def run(script: str, folder: Path, **environ: str) -> str:
    done = subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        cwd=folder,
        env=environment(folder) | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
