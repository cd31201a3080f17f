"""README's tour and the shell scripts are true."""

from pathlib import Path

from tasks_api.config import ROOT
from tests.live import code_block, environment, flask, output_of, serving


def test_the_story_of_the_examples_is_true(tmp_path: Path) -> None:
    with serving(tmp_path, ACCESS_TOKEN_SECONDS="8", REFRESH_RETRY_SECONDS="1") as live:
        assert flask(tmp_path, "db", "seed")[0] == 0
        bash(f"{ROOT}/examples/story.sh", tmp_path, URL=live.url)


def test_the_tour_in_the_readme_and_the_example_about_devices_are_true(tmp_path: Path) -> None:
    tour = code_block("README.md", "## Five minutes with curl")
    with serving(tmp_path / "instance") as live:
        assert flask(tmp_path / "instance", "db", "seed")[0] == 0
        said = bash(tour.replace("http://localhost:5217", live.url), tmp_path)
        bash(f"{ROOT}/examples/devices.sh", tmp_path, URL=live.url)
    assert "Read how refresh tokens rotate" in said
    assert '"id":6,"name":"Try curl"' in said
    assert '"current":true' in said
    assert '"errorCode":"A04"' in said


def bash(script: str, folder: Path, **more: str) -> str:
    environ = environment(folder) | more
    return output_of("bash", "-euo", "pipefail", "-c", script, environ=environ, folder=folder)
