"""Everybody's own list of tasks."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.dialects import mssql
from werkzeug.test import TestResponse

from tasks_api.database.engine import execute
from tasks_api.tasks import service
from tests.conftest import Person, problem
from tests.databases import embedded_only


def add(person: Person, name: str = "Buy milk", **more: Any) -> int:
    answer = person.add_task(name, **more)
    assert answer.status_code == 201, answer.text
    return int(answer.get_json()["id"])


def test_a_task_is_added_at_its_location(anna: Person) -> None:
    body = {"Name": "Köp mjölk 🥛", "ts": "2026-02-03T04:05:29.999Z"}
    answer = anna.call("POST", "/api/tasks", json=body)
    assert answer.status_code == 201
    task = {"id": 1, "name": "Köp mjölk 🥛", "isCompleted": False, "ts": "2026-02-03T04:06:00Z"}
    assert answer.json == task
    assert answer.headers["Location"] == "/api/tasks/1"
    assert anna.call("GET", answer.headers["Location"]).json == task


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
        {"name": "x", "ts": "2026-02-03T04:05:06.12345678901234567Z"},
        {"name": "x", "ts": "2026-01-31t12:00:00z"},
        [],
    ],
)
def test_a_malformed_task_is_t00(anna: Person, body: Any) -> None:
    problem(anna.call("POST", "/api/tasks", json=body), 400, "T00")
    assert anna.tasks() == []


def test_the_advice_about_a_time_can_be_followed(anna: Person) -> None:
    refusal = problem(anna.add_task(ts="T"), 400, "T00")
    advised = refusal["detail"].split()[-1].rstrip(".")
    assert add(anna, ts=advised)


def post(anna: Person, data: bytes, kind: str = "application/json") -> TestResponse:
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
def test_what_is_no_json_or_a_bomb_is_t00(anna: Person, data: bytes) -> None:
    problem(post(anna, data), 400, "T00")


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/json; charset=utf-16",
    ],
)
def test_another_media_type_or_charset_is_415(anna: Person, kind: str) -> None:
    problem(post(anna, b'{"name": "x"}', kind), 415, "unsupported_media_type")


def test_a_compressed_body_is_415(anna: Person) -> None:
    answer = anna.call("POST", "/api/tasks", json={}, headers={"Content-Encoding": "gzip"})
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "kind",
    [
        "text/json",
        "application/vnd.x+json",
        'application/json; charset="UTF-8"',
    ],
)
def test_json_has_several_names_and_may_begin_with_a_mark(anna: Person, kind: str) -> None:
    assert post(anna, b'\xef\xbb\xbf{"name": "x"}', kind).status_code == 201


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
    number = add(anna, ts=given)
    assert anna.call("GET", f"/api/tasks/{number}").get_json()["ts"] == stored


def test_the_list_is_one_owners_by_id_and_pages_follow_their_links(
    anna: Person, bertil: Person
) -> None:
    add(bertil, isCompleted=True)
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
        "limit=1e3",
        "after=-1",
        "isCompleted=1",
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
        {"isCompleted": None},
    ],
)
def test_a_malformed_put_is_t00(anna: Person, change: dict[str, Any]) -> None:
    body = {"id": add(anna), "name": "x", "isCompleted": True} | change
    problem(anna.call("PUT", "/api/tasks", json=body), 400, "T00")


def test_patch_changes_what_it_names(anna: Person) -> None:
    path = f"/api/tasks/{add(anna, ts='2026-01-02T03:04:00Z')}"
    task = anna.call("GET", path).get_json()
    assert anna.call("PATCH", path, json={}).json == task
    task["isCompleted"] = True
    assert anna.call("PATCH", path, json={"ISCOMPLETED": True}).json == task
    task["name"] = "New"
    assert anna.call("PATCH", path, json={"name": "New"}).json == task


@pytest.mark.parametrize("body", [{"name": None}, {"ts": None}, {"name": ""}, []])
def test_a_malformed_patch_is_t00(anna: Person, body: Any) -> None:
    problem(anna.call("PATCH", f"/api/tasks/{add(anna)}", json=body), 400, "T00")


def test_delete_answers_the_id(anna: Person) -> None:
    number = add(anna)
    assert anna.call("DELETE", f"/api/tasks/{number}").json == {"taskId": number}
    problem(anna.call("DELETE", f"/api/tasks/{number}"), 404, "T01")


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-0",
        "x",
        "٣",
        "1%00",
    ],
)
def test_an_id_that_is_no_number_is_d01_in_delete_and_t01_elsewhere(
    anna: Person, text: str
) -> None:
    problem(anna.call("DELETE", f"/api/tasks/{text}"), 400, "D01")
    problem(anna.call("GET", f"/api/tasks/{text}"), 404, "T01")


def test_somebody_elses_task_is_as_unknown_as_any(anna: Person, bertil: Person) -> None:
    theirs = add(bertil, "secret")
    for number in (theirs, 99, -1, 2**31, 2**63):
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
    assert bertil.call("GET", f"/api/tasks/{theirs}").get_json()["name"] == "secret"


def test_every_route_needs_an_access_token(app: Flask, client: FlaskClient) -> None:
    open_to_all = {"users.sign_up", "users.log_in", "users.refresh_token", "users.log_out"}
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/") or rule.endpoint in open_to_all:
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = client.open(rule.rule, method=method)
            problem(answer, 401, "A01")
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tasks-api"'


def test_a_page_is_read_with_top_on_sql_server() -> None:
    for completed in (None, True, False):
        query = service._own_tasks(completed, 21).compile(dialect=mssql.dialect())
        assert str(query).startswith("SELECT TOP ")


@embedded_only
def test_a_day_that_a_hand_wrote_is_its_midnight(app: Flask, anna: Person) -> None:
    add(anna)
    with app.app_context():
        execute(text("UPDATE Task SET TS = '2026-03-04'"))
    assert anna.tasks()[0]["ts"] == "2026-03-04T00:00:00Z"


def test_a_user_that_is_gone_gets_a04(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = service.add
    monkeypatch.setattr(service, "add", lambda _user_id, body: add(99, body))
    problem(anna.add_task(), 401, "A04")
