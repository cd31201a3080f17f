"""Tasks: users add, list, change and delete their own."""

from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask
from sqlalchemy.dialects import mssql
from werkzeug.test import TestResponse

from tasks_api.tasks import service
from tasks_api.tasks.schemas import TaskQuery
from tests.conftest import Person, problem, watch


def add(person: Person, name: str = "Buy milk", **more: Any) -> int:
    answer = person.add_task(name, **more)
    assert answer.status_code == 201, answer.text
    return int(answer.get_json()["id"])


def test_a_task_is_added_at_its_location(anna: Person) -> None:
    answer = anna.add_task("Köp mjölk 🥛", ts="2026-02-03T04:05:29.999Z")
    assert answer.status_code == 201
    task = {"id": 1, "name": "Köp mjölk 🥛", "isCompleted": False, "ts": "2026-02-03T04:06:00Z"}
    assert answer.get_json().items() >= task.items()
    assert answer.headers["Location"] == "/api/tasks/1"
    assert anna.call("GET", answer.headers["Location"]).json == answer.json


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": " \t"},
        {"name": "😀" * 51},
        {"name": 5},
        {"name": "x", "isCompleted": 1},
        {"name": "x", "ts": "2079-06-06T23:59:29.999Z"},
        {"name": "x", "ts": "1899-12-31T23:59:59.999Z"},
        {"name": "x", "ts": "2026-13-01"},
        {"name": "x", "ts": 20260203},
        {"name": "x", "ts": "2026-01-31t12:00:00z"},
        [],
    ],
)
def test_a_malformed_task_is_t00(anna: Person, body: Any) -> None:
    problem(anna.call("POST", "/api/tasks", json=body), 400, "T00")
    assert anna.tasks() == []


def post(
    anna: Person, data: bytes = b'{"name": "x"}', kind: str = "application/json"
) -> TestResponse:
    return anna.call("POST", "/api/tasks", data=data, content_type=kind)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"NaN",
        b"[" * 60_000,
        b'{"name": ' + b"9" * 60_000 + b"}",
    ],
)
def test_invalid_or_hostile_json_is_t00(anna: Person, data: bytes) -> None:
    problem(post(anna, data), 400, "T00")


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=utf-16"])
def test_another_media_type_or_charset_is_415(anna: Person, kind: str) -> None:
    problem(post(anna, kind=kind), 415, "unsupported_media_type")


def test_a_compressed_body_is_415(anna: Person) -> None:
    answer = anna.call("POST", "/api/tasks", {"Content-Encoding": "gzip"}, json={"name": "x"})
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "kind", ["text/json", "application/vnd.x+json", 'application/json; charset="UTF-8"']
)
def test_json_has_several_names(anna: Person, kind: str) -> None:
    assert post(anna, kind=kind).status_code == 201


def test_json_may_begin_with_a_byte_order_mark(anna: Person) -> None:
    assert post(anna, b'\xef\xbb\xbf{"name": "x"}').status_code == 201


def test_a_body_over_64_kib_is_413(anna: Person) -> None:
    problem(anna.add_task("x" * 65_536), 413, "too_large")


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1900-01-01", "1900-01-01T00:00:00Z"),
        ("2079-06-06T23:59:29.998Z", "2079-06-06T23:59:00Z"),
        ("2026-02-03T04:05:29.9989999", "2026-02-03T04:05:00Z"),
        ("2026-02-03T04:05", "2026-02-03T04:05:00Z"),
        ("2026-02-03T04:05:06.1234567-08:00", "2026-02-03T12:05:00Z"),
        ("2026-02-03T04:05:06.1234567890123456+02", "2026-02-03T02:05:00Z"),
    ],
)
def test_times_are_stored_as_smalldatetime(anna: Person, given: str, stored: str) -> None:
    assert anna.add_task(ts=given).get_json()["ts"] == stored
    assert anna.tasks()[0]["ts"] == stored


def test_users_list_their_own_tasks_by_id_and_pages_follow_their_links(
    anna: Person, bertil: Person
) -> None:
    add(bertil)
    ids = [add(anna, f"task {n}", isCompleted=n % 2 == 1) for n in range(7)]
    seen: list[int] = []
    path = "/api/tasks?isCompleted=False&limit=2"
    while path:
        answer = anna.call("GET", path)
        seen += [task["id"] for task in answer.get_json()]
        link = answer.headers.get("Link", "")
        assert not link or "isCompleted=false" in link
        path = link.removeprefix("<").removesuffix('>; rel="next"')
    assert seen == ids[::2]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=1e3",
        "after=-1",
        "isCompleted=1",
        "isCompleted=",
    ],
)
def test_a_malformed_query_is_t00(anna: Person, query: str) -> None:
    problem(anna.call("GET", f"/api/tasks?{query}"), 400, "T00")


def test_nothing_follows_the_largest_id(anna: Person) -> None:
    assert anna.call("GET", "/api/tasks?after=9999999999").json == []


def test_put_replaces_a_task(anna: Person) -> None:
    number = add(anna)
    body = {"id": number, "name": "Buy bread", "isCompleted": True, "ts": "2026-01-02T03:04:00Z"}
    answer = anna.call("PUT", "/api/tasks", json=body)
    assert answer.get_json().items() >= body.items()
    assert anna.call("GET", f"/api/tasks/{number}").json == answer.json


@pytest.mark.parametrize("change", [{"id": 0}, {"id": "x"}, {"id": None}, {"isCompleted": None}])
def test_a_malformed_put_is_t00(anna: Person, change: dict[str, Any]) -> None:
    body = {"id": add(anna), "name": "x", "isCompleted": True} | change
    problem(anna.call("PUT", "/api/tasks", json=body), 400, "T00")


def test_patch_changes_only_what_it_names(anna: Person) -> None:
    path = f"/api/tasks/{add(anna, ts='2026-01-02T03:04:00Z')}"
    task = anna.call("GET", path).get_json()
    for change in ({}, {"isCompleted": True}, {"name": "New"}):
        task |= change
        assert anna.call("PATCH", path, json=change).json == task


@pytest.mark.parametrize("body", [{"name": None}, {"ts": None}, {"name": ""}, []])
def test_a_malformed_patch_is_t00(anna: Person, body: Any) -> None:
    problem(anna.call("PATCH", f"/api/tasks/{add(anna)}", json=body), 400, "T00")


def test_delete_answers_the_id(anna: Person) -> None:
    number = add(anna)
    assert anna.call("DELETE", f"/api/tasks/{number}").json == {"taskId": number}
    problem(anna.call("DELETE", f"/api/tasks/{number}"), 404, "T01")


@pytest.mark.parametrize("text", ["0", "-0", "x", "٣", "1%00"])
def test_an_id_that_is_0_or_not_a_number_is_d01_in_delete_and_t01_elsewhere(
    anna: Person, text: str
) -> None:
    path = f"/api/tasks/{text}"
    assert "is 0 or not a number" in problem(anna.call("DELETE", path), 400, "D01")["detail"]
    problem(anna.call("GET", path), 404, "T01")


def test_another_users_task_is_answered_like_one_that_does_not_exist(
    anna: Person, bertil: Person
) -> None:
    another = add(bertil, "secret")
    for number in (another, 99, -5, 2**31, 2**63):
        path = f"/api/tasks/{number}"
        whole = {"id": number, "name": "mine", "isCompleted": True}
        for answer in (
            anna.call("GET", path),
            anna.call("PATCH", path, json={"name": "mine"}),
            anna.call("PATCH", path, json={}),
            anna.call("PUT", "/api/tasks", json=whole),
            anna.call("DELETE", path),
        ):
            problem(answer, 404, "T01")
    assert bertil.tasks()[0]["name"] == "secret"


def test_a_page_is_read_with_top_on_sql_server(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Mock(return_value=[])
    monkeypatch.setattr(service, "fetch_all", read)
    service.list_tasks(1, **TaskQuery().load({"limit": "20", "isCompleted": "true"}))
    page = read.call_args[0][0].compile(dialect=mssql.dialect())
    assert str(page).startswith("SELECT TOP ")


def test_a_user_who_is_deleted_while_adding_a_task_gets_a04(app: Flask, anna: Person) -> None:
    phone = anna.other_device()
    watch(app, lambda sql: phone.delete_account() if sql.startswith("INSERT INTO") else None)
    problem(anna.add_task(), 401, "A04")
