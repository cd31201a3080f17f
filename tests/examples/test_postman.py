"""The Postman collection is true, and complete: newman runs it, and the OpenAPI document knows its requests."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tasks_api.config import ROOT
from tests.live import environment, flask, serving

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


@pytest.fixture(scope="module")
def collection() -> dict[str, Any]:
    return dict(json.loads(COLLECTION.read_text()))


@pytest.mark.skipif(
    not NEWMAN.exists(), reason="newman is not installed: npm ci --prefix examples/postman"
)
def test_the_collection_passes_twice_in_a_row(collection: dict[str, Any], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    newman = [
        str(NEWMAN),
        "run",
        str(COLLECTION),
        "--environment",
        str(LOCAL),
        "--bail",
        "--color",
        "off",
    ]
    newman += ["--reporters", "cli,json", "--reporter-json-export", str(report)]
    settings = environment(tmp_path)
    with serving(tmp_path, workers=2) as live:
        assert flask(tmp_path, "db", "seed")[0] == 0
        for _ in range(2):
            result = subprocess.run(
                [*newman, "--env-var", f"url={live.url}"],
                env=settings,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert result.returncode == 0, result.stdout + result.stderr
            run = json.loads(report.read_text())["run"]
            assert run["stats"]["requests"]["total"] == len(list(requests_of(collection)))
            assert run["stats"]["assertions"]["failed"] == 0
            report.unlink()


def test_the_collection_uses_every_route_and_no_other(
    collection: dict[str, Any], client: FlaskClient
) -> None:
    routes = {
        f"{method.upper()} {path}"
        for path, methods in client.get("/openapi.json").get_json()["paths"].items()
        for method in methods
        if method in ("get", "post", "put", "patch", "delete")
    }
    values = {variable["key"]: variable["value"] or "1" for variable in collection["variable"]} | {
        "url": ""
    }

    def route(request: dict[str, Any]) -> str:
        path = re.sub(
            r"\{\{(\w+)\}\}", lambda variable: values[variable[1]], request["url"]
        ).partition("?")[0]
        called = f"{request['method']} {path}"
        found = [
            route for route in routes if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), called)
        ]
        assert len(found) == 1, called
        return found[0]

    used = {route(request) for request in requests_of(collection)}
    assert used == {
        route for route in routes if route.split()[1].startswith(("/api/users", "/api/tasks"))
    }
