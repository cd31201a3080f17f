"""The OpenAPI document is valid and complete; the page needs nothing from outside."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from tasks_api import errors


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


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_it_has_every_route(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        f"{method} " + re.sub("<(.+?)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(("/api", "/health"))
    }
    assert routes == set(operations(document))


def test_it_has_every_error_with_an_example(document: dict[str, Any]) -> None:
    described = {
        code
        for operation in operations(document).values()
        for response in operation["responses"].values()
        for code in response.get("content", {})
        .get("application/problem+json", {})
        .get("examples", {})
    }
    catalogue = {entry.code for entry in vars(errors).values() if isinstance(entry, errors.Problem)}
    assert catalogue - described == {"internal", "method_not_allowed"}


def test_every_answer_is_described(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        assert operation["summary"], name
        assert operation["description"], name
        assert any(status.startswith("2") for status in operation["responses"]), name
        is_open = name.endswith(("/signup", "/login", "/refresh_token", "/live", "/ready"))
        assert ("security" in operation) is not is_open, name


def test_generators_name_operations_and_trust_members(document: dict[str, Any]) -> None:
    named = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(named)) == len(named)
    assert {"logIn", "endAllSessions", "live"} <= set(named)
    assert all(re.fullmatch("[a-z][A-Za-z]+", name) for name in named)
    text = json.dumps(document)
    for name, schema in document["components"]["schemas"].items():
        assert f'schemas/{name}"' in text, name
        if name.endswith("Response"):
            assert schema["required"] == sorted(schema["properties"]), name
        assert not any("default" in member for member in schema["properties"].values()), name
    login = document["components"]["schemas"]["LoginRequest"]
    assert login["required"] == ["email", "password"]
    session = document["components"]["schemas"]["SessionResponse"]["properties"]
    assert session["ipAddress"]["type"] == ["string", "null"]


def test_headers_of_errors_are_described(document: dict[str, Any]) -> None:
    answers = document["paths"]["/api/users/password"]["put"]["responses"]
    for status, header in (
        ("401", "WWW-Authenticate"),
        ("429", "Retry-After"),
        ("503", "Retry-After"),
    ):
        assert header in answers[status]["headers"]


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
