"""The OpenAPI document is valid and complete; the page needs nothing from outside."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from tasks_api import errors
from tasks_api.config import ROOT


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    return dict(client.get("/openapi.json").get_json())


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def test_every_test_that_the_security_page_names_is_there() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 20
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert not {name for name in named if f"def {name}(" not in sources}
    for path in set(re.findall(r"`((?:\w+/)?\w+\.py)`", page)):
        assert (ROOT / "tasks_api" / path).is_file(), path
    events = "".join(path.read_text() for path in (ROOT / "tasks_api").rglob("*.py"))
    for event in re.findall(r"`([a-z]+_[a-z_]+)`", page.split("## Log and alerts")[1].split("Alert on")[0]):
        assert f'"{event}"' in events, event


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_it_has_every_route(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        f"{method} {re.sub('<(.+?)>', '{' + chr(92) + '1}', rule.rule)}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(("/api", "/health"))
    }
    assert routes == set(operations(document))
    assert len(routes) == 17


def test_it_has_every_error_with_an_example(document: dict[str, Any]) -> None:
    described = {
        code
        for operation in operations(document).values()
        for response in operation["responses"].values()
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    catalogue = {entry.code for entry in vars(errors).values() if isinstance(entry, errors.Problem)}
    assert catalogue - described == {"internal", "method_not_allowed"}


def test_every_answer_is_described(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        assert operation["summary"], name
        assert any(status.startswith("2") for status in operation["responses"]), name
        guarded = name not in {"POST /api/users/signup", "POST /api/users/login", "POST /api/users/refresh_token"}
        assert ("security" in operation) is (guarded and "/api/" in name), name


def test_the_page_needs_nothing_from_outside(client: FlaskClient) -> None:
    page = client.get("/swagger")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    links = re.findall(r'(?:src|href|data-document)="([^"]+)"', page.text)
    assert len(links) == 5
    for link in links:
        assert link.startswith("/")
        with client.get(link) as answer:
            assert answer.status_code == 200
    assert "<script>" not in page.text
