"""The benchmark runs; what it measures is for people to read."""

import re
import shutil
import subprocess
import sys

import pytest

from tasks_api.config import ROOT
from tests.databases import embedded_only


@embedded_only
@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_the_benchmark_prints_a_ratio_for_every_route() -> None:
    options = [
        "--seconds",
        "1",
        "--rounds",
        "2",
        "--clients",
        "2",
        "--growth",
        "2000",
        "--only",
        "list,add,refresh",
    ]
    command = [sys.executable, "-m", "benchmarks", *options]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for route in ("list", "add", "refresh"):
        assert re.search(
            rf"^\| {route} \| [\d,]+ \| \d+% of [\d,]+ \| [\d.]+ x [\d,]+ \|",
            done.stdout,
            re.MULTILINE,
        )
        assert re.search(rf"^\| {route} \| [\d.]+ \| [\d.]+ \(\d+%\) \|", done.stdout, re.MULTILINE)
