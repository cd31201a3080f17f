"""The habits of ASP.NET. Delete this file with tasks_api/dotnet.py, and all other tests still pass."""

from typing import Any

import pytest

from tasks_api.web.fields import Text
from tasks_api.web.parsing import RequestSchema
from tests.conftest import Person, problem


def test_the_last_of_two_members_with_one_name_counts(anna: Person) -> None:
    data = b'{"name": "first", "NAME": "", "Name": "last"}'
    answer = anna.call("POST", "/api/tasks", data=data, content_type="application/json")
    assert answer.get_json()["name"] == "last"


def test_null_counts_as_not_given(anna: Person) -> None:
    task = anna.add_task(isCompleted=None, ts=None).get_json()
    assert task["isCompleted"] is False
    whole = {"id": task["id"], "name": "x", "isCompleted": True, "ts": None}
    assert anna.call("PUT", "/api/tasks", json=whole).status_code == 200
    body = problem(anna.add_task(None), 400, "T00")
    assert body["errors"] == {"name": ["is missing"]}


def test_null_is_kept_where_it_is_allowed() -> None:
    class Body(RequestSchema):
        note = Text(9, allow_none=True)

    assert Body().load({"NOTE": None}) == {"note": None}


def test_null_as_a_whole_body_counts_as_an_empty_one(anna: Person) -> None:
    """axios sends it for ``post(url, null)``."""
    anna.log_in(cookie=True)
    for path, status in (("refresh_token", 200), ("logout", 204), ("login", 400)):
        answer = anna.client.post(
            f"/api/users/{path}", data=b"null", content_type="application/json"
        )
        assert answer.status_code == status
    assert answer.get_json()["errors"].keys() == {"email", "password"}


def test_decimal_text_counts_as_an_integer(anna: Person) -> None:
    assert anna.keep(anna.refreshed(userId=str(anna.user_id))).status_code == 200
    anna.add_task()
    body = {"id": "1", "name": "7", "isCompleted": True}
    changed = anna.call("PUT", "/api/tasks", json=body).get_json()
    assert (changed["id"], changed["name"]) == (1, "7")


@pytest.mark.parametrize(
    "change", [{"id": "1.0"}, {"id": " 1"}, {"id": "٣"}, {"isCompleted": "true"}]
)
def test_other_text_is_malformed(anna: Person, change: dict[str, Any]) -> None:
    anna.add_task()
    body = {"id": 1, "name": "New", "isCompleted": True} | change
    problem(anna.call("PUT", "/api/tasks", json=body), 400, "T00")
