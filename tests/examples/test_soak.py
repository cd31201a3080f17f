"""The soak, short."""

import re
import sys

from tests.live import output_of


def test_two_minutes_of_trouble_lose_nothing_and_end_no_session() -> None:
    options = "--rounds 1 --people 4 --load 0.05"
    said = output_of(sys.executable, "-m", "benchmarks.soak", *options.split())
    happened = dict(re.findall(r"^\| ([\w ]+) \| ([\d,]+) \|$", said, re.MULTILINE))
    expected = {"rotations", "answers lost", "accounts deleted", "answered 503", "lists compared"}
    assert happened.keys() >= expected, said
