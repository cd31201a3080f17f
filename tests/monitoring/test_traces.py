"""Traces, as docs/operations.md has them made."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import GUNICORN, PASSWORD, code_block, new_user, serving


def documents(text: str) -> Iterator[dict[str, Any]]:
    """Log lines and spans, which are JSON over several lines."""
    for found in re.finditer(r"^\{", text, re.MULTILINE):
        yield json.JSONDecoder().raw_decode(text, found.start())[0]


def test_a_trace_has_the_request_its_statements_and_its_log_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = code_block("docs/operations.md", "## Traces")
    for name, value in re.findall(r"(OTEL_\w+)=(\S+)", block):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    *_, program, _, application = block.split()
    assert Path(program).name == "opentelemetry-instrument"
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
    told = list(documents(text))
    spans = [each for each in told if "context" in each]
    (request,) = [span for span in spans if span["name"] == "GET /api/tasks"]
    trace = request["context"]["trace_id"]
    statements = [
        span["attributes"]["db.statement"]
        for span in spans
        if span["context"]["trace_id"] == trace and "db.statement" in span["attributes"]
    ]
    tables = [re.findall(r"RefreshToken|Task\b", each)[0] for each in statements]
    assert tables == ["RefreshToken", "Task"]  # does the session live, and the page
    (line,) = [each for each in told if each.get("route") == "/api/tasks"]
    assert line["otelTraceID"] == trace.removeprefix("0x")
    assert request["resource"]["attributes"]["service.name"] == "tasks-api"
    for secret in (PASSWORD, token, "traced@example.com"):
        assert secret not in text
