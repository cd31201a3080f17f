"""What the clients of the .NET original rely on, request by request as they send it. None of it may change."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import Person
from tests.live import PASSWORD

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
    answer = client.post(
        "/api/users/login", json={"email": SIGNUP["email"], "password": PASSWORD}, headers=ANGULAR
    )
    return dict(answer.get_json())


def bearer(login: dict[str, Any]) -> dict[str, str]:
    return ANGULAR | {"Authorization": f"Bearer {login['accessToken']}"}


def test_the_angular_client_finds_what_it_stores(login: dict[str, Any]) -> None:
    assert {
        name: type(login[name]) for name in ("accessToken", "refreshToken", "userId", "firstName")
    } == {
        "accessToken": str,
        "refreshToken": str,
        "userId": int,
        "firstName": str,
    }


def test_it_refreshes_with_pascal_case_names_and_reads_camel_case(
    client: FlaskClient, login: dict[str, Any]
) -> None:
    body = {"UserId": login["userId"], "RefreshToken": login["refreshToken"]}
    answer = client.post("/api/users/refresh_token", json=body, headers=ANGULAR).get_json()
    assert answer.keys() >= {"accessToken", "refreshToken", "userId", "firstName"}


def test_two_tabs_that_refresh_at_once_both_stay_signed_in(
    client: FlaskClient, login: dict[str, Any]
) -> None:
    body = {"UserId": login["userId"], "RefreshToken": login["refreshToken"]}
    tabs = [
        client.post("/api/users/refresh_token", json=body, headers=ANGULAR).get_json()
        for _ in range(2)
    ]
    assert tabs[0]["refreshToken"] == tabs[1]["refreshToken"]
    for tab in tabs:
        assert client.get("/api/tasks", headers=bearer(tab)).status_code == 200


@pytest.mark.parametrize("path", ["/api/Users/Login", "/api/users/login/", "/API/USERS/LOGIN"])
def test_paths_have_no_case_as_in_asp_net(
    client: FlaskClient, login: dict[str, Any], path: str
) -> None:
    body = {"Email": SIGNUP["email"], "Password": PASSWORD}
    assert client.post(path, json=body, headers=ANGULAR).status_code == 200


def test_tasks_go_there_and_back(client: FlaskClient, login: dict[str, Any]) -> None:
    new = {"id": 0, "name": "Learn", "isCompleted": False, "ts": "2026-01-31T12:00:29.998Z"}
    added = client.post("/api/tasks", json=new, headers=bearer(login)).get_json()
    assert added == {
        "id": added["id"],
        "name": "Learn",
        "isCompleted": False,
        "ts": "2026-01-31T12:00:00Z",
    }
    assert added["id"] > 0
    changed = client.put("/api/tasks", json=added | {"isCompleted": True}, headers=bearer(login))
    assert (changed.status_code, changed.get_json()) == (200, added | {"isCompleted": True})
    assert client.get("/api/tasks", headers=bearer(login)).get_json() == [
        added | {"isCompleted": True}
    ]
    deleted = client.delete(f"/api/tasks/{added['id']}", headers=bearer(login))
    assert (deleted.status_code, deleted.get_json()) == (200, {"taskId": added["id"]})


def test_logout_is_a_post_with_an_empty_object_or_nothing(
    client: FlaskClient, login: dict[str, Any]
) -> None:
    answer = client.post("/api/users/logout", json={}, headers=bearer(login))
    assert 200 <= answer.status_code < 300
    assert client.get("/api/tasks", headers=bearer(login)).status_code == 401


def test_who_am_i(client: FlaskClient, login: dict[str, Any]) -> None:
    found = client.get("/api/users/info", headers=bearer(login)).get_json()
    assert found == {
        "email": "ng@example.com",
        "firstName": "Nora",
        "lastName": "Ng",
        "creationDate": "2026-01-31T12:00:00Z",
    }


def refused(answer: TestResponse) -> tuple[int, str, str]:
    body = answer.get_json()
    return answer.status_code, body["errorCode"], body["error"]


def test_errors_have_their_text_in_error_and_their_code_in_error_code(
    client: FlaskClient, login: dict[str, Any]
) -> None:
    cases = [
        (client.post("/api/users/login", json={"email": "", "password": ""}), 400, "L01"),
        (
            client.post("/api/users/login", json={"email": "no@example.com", "password": "x"}),
            401,
            "L02",
        ),
        (client.post("/api/users/signup", json=SIGNUP), 422, "S02"),
        (
            client.post("/api/users/refresh_token", json={"UserId": 0, "RefreshToken": ""}),
            400,
            "R01",
        ),
        (client.delete("/api/tasks/0", headers=bearer(login)), 400, "D01"),
        (client.delete("/api/tasks/99", headers=bearer(login)), 404, "T01"),
        (client.get("/api/tasks"), 401, "A01"),
    ]
    for answer, status, code in cases:
        found = refused(answer)
        assert found[:2] == (status, code)
        assert found[2].endswith(".")


def test_an_expired_access_token_is_a_401_that_starts_a_refresh(
    client: FlaskClient, login: dict[str, Any]
) -> None:
    answer = client.get("/api/tasks", headers=ANGULAR | {"Authorization": "Bearer broken"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_refit_client_sends_an_empty_authorization(client: FlaskClient) -> None:
    somebody = Person(client)
    somebody.sign_up()
    body = {"email": somebody.email, "password": PASSWORD}
    assert (
        client.post("/api/users/login", json=body, headers={"Authorization": "Bearer "}).status_code
        == 200
    )
