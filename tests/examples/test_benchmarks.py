"""The benchmarks run; what they measure is for people to read."""

import re
import shutil
import sys

import pytest

from benchmarks import sqlserver
from tests.databases import embedded_only
from tests.live import output_of


def test_a_slow_day_has_a_row_too() -> None:
    found = {"requests": 9.0, "rate": 3.0, "p50": 1.0, "p99": 2.0, "cpu": 1.0}
    assert sqlserver.row("list", found, [], 3, "-") == "list: too few answers: 9 and 0"
    assert "100%" in sqlserver.row("list", found, [1.0] * 9, 3, "-")


@embedded_only
@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_the_benchmark_prints_its_ratios() -> None:
    options = "--seconds 1 --rounds 1 --clients 1 --growth 2000 --only list"
    said = output_of(sys.executable, "-m", "benchmarks", *options.split())
    beside = r"^\| list \| [\d,]+ \| \d+% of [\d,]+ \| [\d.]+ x [\d,]+ \|"
    assert re.search(beside, said, re.MULTILINE)
    grown = r"^\| list \| [\d.]+ \| [\d.]+ \(\d+%\) \|"
    assert re.search(grown, said, re.MULTILINE)
