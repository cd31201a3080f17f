"""The soak, short."""

import re
import subprocess
import sys

from tasks_api.config import ROOT


def test_two_minutes_of_trouble_lose_nothing_and_end_no_session() -> None:
    options = "--rounds 1 --people 4 --load 0.05"
    command = [sys.executable, "-m", "benchmarks.soak", *options.split()]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = dict(re.findall(r"^\| ([\w ]+) \| ([\d,]+) \|$", done.stdout, re.MULTILINE))
    happened = {"rotations", "answers lost", "accounts deleted", "answered 503", "lists compared"}
    assert told.keys() >= happened, done.stdout
