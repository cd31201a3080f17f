"""README's tour and the shell scripts are true."""

import re
from pathlib import Path

from tasks_api.config import ROOT
from tests.live import environment, flask, output_of, serving


def bash(script: str, folder: Path, **more: str) -> str:
    environ = environment(folder) | more
    return output_of("bash", "-euo", "pipefail", "-c", script, environ=environ, folder=folder)


def test_the_story_of_the_examples_is_true(tmp_path: Path) -> None:
    with serving(tmp_path, ACCESS_TOKEN_SECONDS="8", REFRESH_RETRY_SECONDS="1") as live:
        assert flask(tmp_path, "db", "seed")[0] == 0
        bash(f"{ROOT}/examples/story.sh", tmp_path, URL=live.url)


def test_the_commands_in_the_readme_and_the_example_about_devices_are_true(
    tmp_path: Path,
) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    tours = [block for block in blocks if "curl" in block]
    with serving(tmp_path / "instance") as live:
        assert flask(tmp_path / "instance", "db", "seed")[0] == 0
        for tour in tours:
            said = bash(tour.replace("http://localhost:5217", live.url), tmp_path)
            assert '"isCompleted":' in said
            for code in re.findall('"errorCode":"(.*?)"', said):
                assert code in tour  # which says what is refused
        bash(f"{ROOT}/examples/devices.sh", tmp_path, URL=live.url)
    assert tours
