"""The Postman collection is true, and complete: newman runs it, and the OpenAPI document knows its requests."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tasks_api.config import ROOT
from tests.live import environment, flask, output_of, serving

FOLDER = ROOT / "examples" / "postman"
COLLECTION = FOLDER / "tasks-api.postman_collection.json"
LOCAL = FOLDER / "local.postman_environment.json"
METHODS = {"get", "post", "put", "patch", "delete"}
NEWMAN = FOLDER / "node_modules" / ".bin" / "newman"


def requests_of(folder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in folder["item"]:
        if "request" in item:
            yield item["request"]
        else:
            yield from requests_of(item)


@pytest.fixture(scope="module")
def collection() -> dict[str, Any]:
    return dict(json.loads(COLLECTION.read_text()))


@pytest.mark.skipif(
    not NEWMAN.exists(), reason="newman is not installed: npm ci --prefix examples/postman"
)
def test_the_collection_passes_twice_in_a_row(collection: dict[str, Any], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = f"--environment {LOCAL} --bail --color off --reporters cli,json"
    newman = [str(NEWMAN), "run", str(COLLECTION), *options.split()]
    newman += ["--reporter-json-export", str(report), "--env-var", "retrySeconds=3"]
    settings = environment(tmp_path)
    with serving(tmp_path, workers=2, REFRESH_RETRY_SECONDS="3") as live:
        assert flask(tmp_path, "db", "seed")[0] == 0
        newman += ["--env-var", f"url={live.url}"]
        for _ in range(2):
            output_of(*newman, environ=settings)
            run = json.loads(report.read_text())["run"]
            assert run["stats"]["requests"]["total"] == len(list(requests_of(collection)))
            assert run["stats"]["assertions"]["failed"] == 0
            report.unlink()


def test_the_collection_uses_every_route_and_no_other(
    collection: dict[str, Any], client: FlaskClient
) -> None:
    routes: set[str] = set()
    for path, methods in client.get("/openapi.json").get_json()["paths"].items():
        if path.startswith(("/api/users", "/api/tasks")):
            routes |= {f"{method.upper()} {path}" for method in methods.keys() & METHODS}
    values = {variable["key"]: variable["value"] or "1" for variable in collection["variable"]}
    values["url"] = ""
    used: set[str] = set()
    for request in requests_of(collection):
        url = re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], request["url"])
        called = f"{request['method']} {url.partition('?')[0]}"
        patterns = {re.sub(r"\{\w+\}", "[^/]+", route): route for route in routes}
        (pattern,) = [each for each in patterns if re.fullmatch(each, called)]
        used.add(patterns[pattern])
    assert used == routes
