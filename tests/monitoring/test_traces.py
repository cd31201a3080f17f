"""Traces, as docs/operations.md says how to get them."""

import re
import sys
from pathlib import Path

import pytest

from tests.live import GUNICORN, PASSWORD, code_block, new_user, serving


def test_spans_show_requests_and_statements_but_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = code_block("docs/operations.md", "## Traces")
    for name, value in re.findall(r"(OTEL_\w+)=(\S+)", block):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    *_, program, _, application = block.split()
    out = tmp_path / "out"
    with (
        out.open("wb") as file,
        serving(
            tmp_path,
            program=(str(Path(sys.executable).with_name(Path(program).name)), GUNICORN),
            application=application,
            output=file.fileno(),
        ) as live,
    ):
        token = new_user(live, "traced@example.com")["accessToken"]
        assert live.get("/api/tasks", token).json() == []
    text = out.read_text()
    (trace,) = re.findall(r'"otelTraceID":"(\w+)".*"route":"/api/tasks"', text)
    spans = [span for span in re.split(r"\n(?=\{)", text) if f'"0x{trace}"' in span]
    for expected in ('"name": "GET /api/tasks"', r"FROM \W*RefreshToken", r"FROM \W*Task\b"):
        assert any(re.search(expected, span) for span in spans), expected
    for secret in (PASSWORD, token, "traced@example.com"):
        assert secret not in text
