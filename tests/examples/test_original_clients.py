"""What the clients of the .NET original send and read. None of it may change."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.live import PASSWORD, bearer, signup_of

SIGNUP = signup_of("ng@example.com") | {"ts": "2026-01-31T12:00:00.123Z"}

Call = Callable[..., TestResponse]


@pytest.fixture
def angular(client: FlaskClient) -> Call:
    """Sends a request as the Angular client does."""

    def call(method: str, path: str, body: object = None, token: str = "") -> TestResponse:
        headers = {"Accept": "application/json, text/plain, */*"} | bearer(token)
        return client.open(path, method=method, json=body, headers=headers)

    return call


@pytest.fixture
def login(angular: Call) -> dict[str, Any]:
    assert angular("POST", "/api/users/signup", SIGNUP).status_code == 201
    body = {"Email": SIGNUP["email"], "Password": PASSWORD}
    return dict(angular("POST", "/api/Users/Login/", body).get_json())


def test_the_angular_client_finds_what_it_stores_at_login_and_at_refresh(
    angular: Call, login: dict[str, Any]
) -> None:
    body = {"UserId": login["userId"], "RefreshToken": login["refreshToken"]}
    renewed = angular("POST", "/api/users/refresh_token", body).get_json()
    for stored in (login, renewed):
        assert (stored["userId"], stored["firstName"]) == (1, "Anna")
        assert stored["refreshToken"]
        assert angular("GET", "/api/tasks", token=stored["accessToken"]).get_json() == []


def test_the_angular_client_reads_the_tasks_that_it_writes_and_logs_out_with_an_empty_object(
    angular: Call, login: dict[str, Any]
) -> None:
    token = login["accessToken"]
    new = {"id": 0, "name": "Learn", "isCompleted": False, "ts": "2026-01-31T12:00:29.998Z"}
    added = angular("POST", "/api/tasks", new, token).get_json()
    assert added.items() >= (new | {"id": 1, "ts": "2026-01-31T12:00:00Z"}).items()
    done = added | {"isCompleted": True}
    changed = angular("PUT", "/api/tasks", done, token)
    assert (changed.status_code, changed.get_json()) == (200, done)
    deleted = angular("DELETE", "/api/tasks/1", token=token)
    assert (deleted.status_code, deleted.get_json()) == (200, {"taskId": 1})
    assert angular("POST", "/api/users/logout", {}, token).status_code == 204
    assert angular("GET", "/api/tasks", token=token).status_code == 401
