"""The benchmarks run. People read what they measure."""

import re
import shutil
import sys

import pytest

from tests.databases import embedded_only
from tests.live import output_of


@embedded_only
@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_the_benchmark_prints_its_ratios() -> None:
    options = "--seconds 1 --rounds 1 --clients 1 --growth 2000 --only list"
    said = output_of(sys.executable, "-m", "benchmarks", *options.split())
    beside = r"^\| list \| [\d,]+ \| \d+% of [\d,]+ \| [\d.]+ x [\d,]+ \|"
    grown = r"^\| list \| [\d.]+ \| [\d.]+ \(\d+%\) \|"
    for row in (beside, grown):
        assert re.search(row, said, re.MULTILINE), said
