"""The Postman collection is true and complete: newman runs it, and it has every route of the service."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tasks_api.config import ROOT
from tests.live import flask, output_of, serving

FOLDER = ROOT / "examples" / "postman"
COLLECTION = FOLDER / "tasks-api.postman_collection.json"
LOCAL = FOLDER / "local.postman_environment.json"
NEWMAN = FOLDER / "node_modules" / ".bin" / "newman"


def requests_of(folder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in folder["item"]:
        if "request" in item:
            yield item["request"]
        else:
            yield from requests_of(item)


DOCUMENT: dict[str, Any] = json.loads(COLLECTION.read_text())
ID = "00000000-0000-0000-0000-000000000000"
REQUESTS = list(requests_of(DOCUMENT))


@pytest.mark.skipif(
    not NEWMAN.exists(), reason="newman is not installed: npm ci --prefix examples/postman"
)
def test_the_collection_passes_twice_in_a_row(tmp_path: Path) -> None:
    options = f"--environment {LOCAL} --bail --color off --env-var retrySeconds=3"
    with serving(tmp_path, workers=2, REFRESH_RETRY_SECONDS="3") as live:
        assert flask(tmp_path, "db", "seed")[0] == 0
        url = ("--env-var", f"url={live.url}")
        for _ in range(2):
            said = output_of(str(NEWMAN), "run", str(COLLECTION), *options.split(), *url)
            sent, failed = re.findall(r"requests\s+│\s+(\d+) │\s+(\d+)", said)[0]
            assert (int(sent), failed) == (len(REQUESTS), "0")


@pytest.mark.parametrize("room", ["users", "account", "tasks"])
def test_the_collection_uses_every_route(app: Flask, room: str) -> None:
    values = {each["key"]: each["value"] or ID for each in DOCUMENT["variable"]} | {"url": ""}
    routes = app.url_map.bind("")
    used = set()
    for request in REQUESTS:
        url = re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], request["url"])
        used.add(routes.match(url.partition("?")[0], request["method"])[0])
    assert used >= {name for name in app.view_functions if name.startswith(f"{room}.")}
