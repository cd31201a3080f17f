"""The OpenAPI document is valid, complete and true; Swagger's page needs no other server."""

import re
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from tasks_api import errors
from tests.conftest import MakeApp, problem


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    return dict(client.get("/openapi.json").get_json())


@pytest.fixture
def schemas(document: dict[str, Any]) -> dict[str, Any]:
    return dict(document["components"]["schemas"])


@pytest.fixture
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_it_has_every_route(app: Flask, operations: dict[str, Any]) -> None:
    routes = {
        f"{method} " + re.sub(r"<(\w+:)?(\w+)>", r"{\2}", rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(("/api", "/health"))
    }
    assert routes == operations.keys()


def test_it_has_every_error_with_an_example(operations: dict[str, Any]) -> None:
    described = {
        code
        for operation in operations.values()
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
        for code in content.get("examples", {})
    }
    catalogue = {
        entry.code for entry in vars(errors).values() if isinstance(entry, errors.Problem)
    }
    assert catalogue - described == {"internal", "method_not_allowed"}


def test_every_operation_is_described_and_can_be_named(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert re.fullmatch("[a-z][A-Za-z]+", operation["operationId"]), name


def test_every_operation_needs_an_access_token_and_says_so_but_for_a_few(
    app: Flask, client: FlaskClient, operations: dict[str, Any]
) -> None:
    for name, operation in operations.items():
        blueprint = app.blueprints[operation["tags"][0]]
        is_open = getattr(blueprint, "guard", None) is None and name != "POST /api/users/logout"
        assert ("security" in operation) is not is_open, name
        if not is_open:
            method, path = name.split()
            answer = client.open(re.sub("{.+?}", str(uuid4()), path), method=method)
            problem(answer, 401, "A01")
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tasks-api"'


def test_only_the_ways_in_are_open(app: Flask) -> None:
    is_open = {name for name, each in app.blueprints.items() if getattr(each, "guard", 0) is None}
    assert is_open == {"users", "health"}


def test_answers_have_all_members_and_requests_need_not(schemas: dict[str, Any]) -> None:
    for name, schema in schemas.items():
        if name.endswith("Response"):
            optional = schema["properties"].keys() - schema["required"]
            assert optional <= {"errors"}, name
        # A default would make generators demand the member.
        assert not any("default" in member for member in schema["properties"].values()), name
    assert schemas["LoginRequest"]["required"] == ["email", "password"]


def test_only_what_may_be_null_says_so(
    schemas: dict[str, Any], operations: dict[str, Any]
) -> None:
    assert schemas["RefreshRequest"]["properties"]["userId"]["type"] == ["integer", "null"]
    assert schemas["SessionResponse"]["properties"]["ipAddress"]["type"] == ["string", "null"]
    query = {each["name"]: each["schema"] for each in operations["GET /api/tasks"]["parameters"]}
    assert query["isCompleted"] == {"type": "boolean"}


def test_headers_of_errors_are_described(operations: dict[str, Any]) -> None:
    responses = operations["PUT /api/users/password"]["responses"]
    for status, header in {"401": "WWW-Authenticate", "429": "Retry-After"}.items():
        assert header in responses[status]["headers"]


def test_it_names_the_prefix_that_a_proxy_or_the_server_adds(make_app: MakeApp) -> None:
    client = make_app(TRUSTED_PROXIES="1").test_client()
    for answer in (
        client.get("/openapi.json", headers={"X-Forwarded-Prefix": "/svc/"}),
        client.get("/openapi.json", environ_overrides={"SCRIPT_NAME": "/svc"}),
    ):
        assert answer.get_json()["servers"] == [{"url": "/svc/"}]


def test_swaggers_page_needs_no_other_server(client: FlaskClient) -> None:
    page = client.get("/swagger")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.text
    links = re.findall(r'(?:src|href|data-document)="([^"]+)"', page.text)
    assert "/openapi.json" in links
    for link in links:
        assert link.startswith("/")
        with client.get(link) as answer:
            assert answer.status_code == 200
