"""Everybody's own list of tasks."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tasks_api.database.engine import execute
from tests.conftest import Person, problem
from tests.databases import embedded_only


def add(person: Person, name: str = "Buy milk", **more: Any) -> int:
    answer = person.call("POST", "/api/tasks", json={"name": name} | more)
    assert answer.status_code == 201, answer.text
    return int(answer.get_json()["id"])


def test_a_task_is_added_at_its_location(anna: Person) -> None:
    answer = anna.call(
        "POST",
        "/api/tasks",
        json={"Name": "Köp mjölk 🥛", "ts": "2026-02-03T04:05:29.999Z", "id": 77},
    )
    assert answer.status_code == 201
    task = {"id": 1, "name": "Köp mjölk 🥛", "isCompleted": False, "ts": "2026-02-03T04:06:00Z"}
    assert answer.json == task
    assert answer.headers["Location"] == "/api/tasks/1"
    assert anna.call("GET", answer.headers["Location"]).json == task


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": " \t"},
        {"name": "x" * 101},
        {"name": "😀" * 51},
        {"name": 5},
        {"name": None},
        {"name": ["x"]},
        {"name": "x", "isCompleted": 1},
        {"name": "x", "isCompleted": "true"},
        {"name": "x", "ts": "2079-06-07"},
        {"name": "x", "ts": "1899-12-31T23:59:59.999Z"},
        {"name": "x", "ts": "2026-13-01"},
        {"name": "x", "ts": 5},
        {"name": "x", "ts": "2026-02-03T04:05:06.12345678901234567Z"},
        {"name": "x", "ts": "2026-02-03T04:05:06.Z"},
        {"name": "x", "ts": "2026-02-03T04:051"},
        [],
        "x",
        1,
        None,
    ],
)
def test_a_malformed_task_is_t00(anna: Person, body: Any) -> None:
    problem(anna.call("POST", "/api/tasks", json=body), 400, "T00")
    assert anna.call("GET", "/api/tasks").json == []


@pytest.mark.parametrize(
    "data", [b"", b"{", b"{'name': 'x'}", b'{"name": "\xff"}', b'{"name": "\\ud800"}', b"NaN"]
)
def test_what_is_no_json_is_t00(anna: Person, data: bytes) -> None:
    problem(anna.call("POST", "/api/tasks", data=data, content_type="application/json"), 400, "T00")


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 60_000,
        b"[" * 60_000 + b"]" * 5_000,
        b'{"name":' * 6_000,
        b'{"name": ' + b"9" * 60_000 + b"}",
    ],
)
def test_a_json_bomb_is_t00(anna: Person, data: bytes) -> None:
    problem(anna.call("POST", "/api/tasks", data=data, content_type="application/json"), 400, "T00")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
)
def test_another_media_type_or_charset_is_415(anna: Person, kind: str) -> None:
    answer = anna.call("POST", "/api/tasks", data=b'{"name": "x"}', content_type=kind)
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "kind", ["text/json", "application/vnd.x+json", 'application/json; charset="UTF-8"']
)
def test_json_has_several_names_and_may_begin_with_a_mark(anna: Person, kind: str) -> None:
    data = b'\xef\xbb\xbf{"name": "x"}'
    assert anna.call("POST", "/api/tasks", data=data, content_type=kind).status_code == 201


def test_a_body_over_64_kib_is_413(anna: Person) -> None:
    problem(anna.call("POST", "/api/tasks", json={"name": "x" * 65_536}), 413, "too_large")


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00Z"),
        ("1900-01-01", "1900-01-01T00:00:00Z"),
        ("2079-06-06T23:59:29.998Z", "2079-06-06T23:59:00Z"),
        ("2026-02-03T04:05:29.9989999", "2026-02-03T04:05:00Z"),
        ("2026-02-03T04:05:29.999", "2026-02-03T04:06:00Z"),
        ("2026-02-03T04:05", "2026-02-03T04:05:00Z"),
        ("2026-02-03T04:05:06.1234567-08:00", "2026-02-03T12:05:00Z"),
        ("2026-02-03T04:05:06.1234567890123456+02", "2026-02-03T02:05:00Z"),
        ("2026-02-03T04:05:06.123456789Z", "2026-02-03T04:05:00Z"),
    ],
)
def test_times_are_stored_as_smalldatetime(anna: Person, given: str, stored: str) -> None:
    number = add(anna, ts=given)
    assert anna.call("GET", f"/api/tasks/{number}").get_json()["ts"] == stored


def test_the_list_is_by_id_and_one_owners(anna: Person, bertil: Person) -> None:
    ids = [add(anna, f"task {n}") for n in range(3)]
    add(bertil)
    answer = anna.call("GET", "/api/tasks")
    assert [task["id"] for task in answer.get_json()] == ids
    assert "Link" not in answer.headers


def test_pages_follow_their_links(anna: Person) -> None:
    ids = [add(anna, f"task {n}", isCompleted=n % 2 == 0) for n in range(7)]
    seen: list[int] = []
    path = "/api/tasks?isCompleted=TRUE&limit=2"
    while path:
        answer = anna.call("GET", path)
        seen += [task["id"] for task in answer.get_json()]
        link = answer.headers.get("Link", "")
        path = link.removeprefix("<").removesuffix('>; rel="next"')
    assert seen == ids[::2]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=-1",
        "limit=1e3",
        "after=-1",
        "after=x",
        "isCompleted=1",
        "isCompleted=",
    ],
)
def test_a_malformed_query_is_t00(anna: Person, query: str) -> None:
    problem(anna.call("GET", f"/api/tasks?{query}"), 400, "T00")


def test_nothing_follows_the_largest_id(anna: Person) -> None:
    add(anna)
    assert anna.call("GET", "/api/tasks?after=9999999999").json == []


def test_put_replaces_a_task(anna: Person) -> None:
    number = add(anna)
    body = {"id": number, "name": "Buy bread", "isCompleted": True, "ts": "2026-01-02T03:04:00Z"}
    assert anna.call("PUT", "/api/tasks", json=body).json == body
    assert anna.call("GET", f"/api/tasks/{number}").json == body


@pytest.mark.parametrize(
    "change",
    [
        {"id": 0},
        {"id": "1"},
        {"id": None},
        {"id": 1.5},
        {"id": True},
        {"isCompleted": None},
        {"name": ""},
    ],
)
def test_a_malformed_put_is_t00(anna: Person, change: dict[str, Any]) -> None:
    body = {"id": add(anna), "name": "x", "isCompleted": True} | change
    problem(anna.call("PUT", "/api/tasks", json=body), 400, "T00")


def test_patch_changes_what_it_names(anna: Person) -> None:
    number = add(anna, ts="2026-01-02T03:04:00Z")
    before = anna.call("GET", f"/api/tasks/{number}").get_json()
    assert anna.call("PATCH", f"/api/tasks/{number}", json={}).json == before
    changed = anna.call("PATCH", f"/api/tasks/{number}", json={"ISCOMPLETED": True})
    assert changed.json == before | {"isCompleted": True}
    assert (
        anna.call("PATCH", f"/api/tasks/{number}", json={"name": "New"}).get_json()["name"] == "New"
    )


@pytest.mark.parametrize(
    "body", [{"name": None}, {"isCompleted": None}, {"ts": None}, {"name": ""}, []]
)
def test_a_malformed_patch_is_t00(anna: Person, body: Any) -> None:
    problem(anna.call("PATCH", f"/api/tasks/{add(anna)}", json=body), 400, "T00")


def test_delete_answers_the_id(anna: Person) -> None:
    number = add(anna)
    assert anna.call("DELETE", f"/api/tasks/{number}").json == {"taskId": number}
    problem(anna.call("DELETE", f"/api/tasks/{number}"), 404, "T01")


@pytest.mark.parametrize("text", ["0", "-0", "x", "1.5", "٣", "%20", "1%00"])
def test_an_id_that_is_no_number_is_d01_in_delete_and_t01_elsewhere(
    anna: Person, text: str
) -> None:
    problem(anna.call("DELETE", f"/api/tasks/{text}"), 400, "D01")
    problem(anna.call("GET", f"/api/tasks/{text}"), 404, "T01")
    problem(anna.call("PATCH", f"/api/tasks/{text}", json={"name": "x"}), 404, "T01")


@pytest.mark.parametrize("number", [-1, 99, 2**31 - 1, 2**31, 2**63])
def test_an_unknown_id_is_t01(anna: Person, number: int) -> None:
    problem(anna.call("GET", f"/api/tasks/{number}"), 404, "T01")
    problem(anna.call("DELETE", f"/api/tasks/{number}"), 404, "T01")
    problem(anna.call("PATCH", f"/api/tasks/{number}", json={"name": "x"}), 404, "T01")
    problem(
        anna.call("PUT", "/api/tasks", json={"id": number, "name": "x", "isCompleted": True}),
        404,
        "T01",
    )


def test_somebody_elses_task_is_as_unknown_as_any(anna: Person, bertil: Person) -> None:
    number = add(bertil, "secret")
    whole = {"id": number, "name": "mine", "isCompleted": True}
    for answer in (
        anna.call("GET", f"/api/tasks/{number}"),
        anna.call("PATCH", f"/api/tasks/{number}", json={"name": "mine"}),
        anna.call("PATCH", f"/api/tasks/{number}", json={}),
        anna.call("PUT", "/api/tasks", json=whole),
        anna.call("DELETE", f"/api/tasks/{number}"),
    ):
        problem(answer, 404, "T01")
    assert bertil.call("GET", f"/api/tasks/{number}").get_json()["name"] == "secret"


def test_every_route_needs_an_access_token(anna: Person) -> None:
    anna.access = ""
    for method, path in (
        ("GET", "/api/tasks"),
        ("POST", "/api/tasks"),
        ("PUT", "/api/tasks"),
        ("GET", "/api/tasks/1"),
        ("PATCH", "/api/tasks/1"),
        ("DELETE", "/api/tasks/1"),
        ("GET", "/api/users/info"),
        ("PUT", "/api/users/password"),
        ("GET", "/api/users/sessions"),
        ("DELETE", "/api/users/sessions"),
        ("DELETE", "/api/users/sessions/1"),
    ):
        answer = anna.call(method, path)
        problem(answer, 401, "A01")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tasks-api"'


def test_a_page_is_read_with_top_on_sql_server() -> None:
    from sqlalchemy.dialects import mssql

    from tasks_api.tasks.service import _own_tasks

    for completed in (None, True, False):
        assert str(_own_tasks(completed, 21).compile(dialect=mssql.dialect())).startswith(
            "SELECT TOP "
        )


@embedded_only
def test_a_day_that_a_hand_wrote_is_its_midnight(app: Flask, anna: Person) -> None:
    add(anna)
    with app.app_context():
        execute(text("UPDATE Task SET TS = '2026-03-04'"))
    assert anna.call("GET", "/api/tasks").get_json()[0]["ts"] == "2026-03-04T00:00:00Z"


def test_a_user_that_is_gone_gets_a04(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks_api.tasks import service

    add = service.add
    monkeypatch.setattr(service, "add", lambda _user_id, body: add(99, body))
    problem(anna.call("POST", "/api/tasks", json={"name": "x"}), 401, "A04")
