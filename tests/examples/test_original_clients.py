"""What the clients of the .NET original rely on, request by request as they send it. None of it may change."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.live import PASSWORD, bearer

ANGULAR = {"Content-Type": "application/json", "Accept": "application/json, text/plain, */*"}
SIGNUP = {
    "email": "ng@example.com",
    "password": PASSWORD,
    "confirmPassword": PASSWORD,
    "firstName": "Nora",
    "lastName": "Ng",
    "ts": "2026-01-31T12:00:00.123Z",
}


@pytest.fixture
def login(client: FlaskClient) -> dict[str, Any]:
    assert client.post("/api/users/signup", json=SIGNUP, headers=ANGULAR).status_code == 201
    body = {"Email": SIGNUP["email"], "Password": PASSWORD}
    return dict(client.post("/api/Users/Login/", json=body, headers=ANGULAR).get_json())


def signed_in(login: dict[str, Any]) -> dict[str, str]:
    return ANGULAR | bearer(login["accessToken"])


def test_the_angular_client_finds_what_it_stores_at_login_and_at_refresh(
    client: FlaskClient, login: dict[str, Any]
) -> None:
    body = {"UserId": login["userId"], "RefreshToken": login["refreshToken"]}
    renewed = client.post("/api/users/refresh_token", json=body, headers=ANGULAR).get_json()
    for stored in (login, renewed):
        assert isinstance(stored["accessToken"], str)
        assert isinstance(stored["refreshToken"], str)
        assert isinstance(stored["userId"], int)
        assert stored["firstName"] == "Nora"
    assert client.get("/api/tasks", headers=signed_in(renewed)).get_json() == []


def test_tasks_go_there_and_back(client: FlaskClient, login: dict[str, Any]) -> None:
    new = {"id": 0, "name": "Learn", "isCompleted": False, "ts": "2026-01-31T12:00:29.998Z"}
    added = client.post("/api/tasks", json=new, headers=signed_in(login)).get_json()
    assert added["id"] > 0
    assert added == new | {"id": added["id"], "ts": "2026-01-31T12:00:00Z"}
    done = added | {"isCompleted": True}
    changed = client.put("/api/tasks", json=done, headers=signed_in(login))
    assert (changed.status_code, changed.get_json()) == (200, done)
    assert client.get("/api/tasks", headers=signed_in(login)).get_json() == [done]
    deleted = client.delete(f"/api/tasks/{added['id']}", headers=signed_in(login))
    assert (deleted.status_code, deleted.get_json()) == (200, {"taskId": added["id"]})


def test_logout_is_a_post_with_an_empty_object(client: FlaskClient, login: dict[str, Any]) -> None:
    answer = client.post("/api/users/logout", json={}, headers=signed_in(login))
    assert answer.status_code == 204
    assert client.get("/api/tasks", headers=signed_in(login)).status_code == 401


def test_the_refit_client_sends_an_empty_authorization(client: FlaskClient) -> None:
    answer = client.post("/api/users/signup", json=SIGNUP, headers={"Authorization": "Bearer "})
    assert answer.status_code == 201
