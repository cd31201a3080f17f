"""What requests and answers contain: names, messages, types, times."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from marshmallow import Schema, fields

from tasks_api.web.blueprint import ResponseSchema
from tasks_api.web.openapi import ProblemResponse
from tasks_api.web.parsing import RequestSchema
from tests.conftest import Person, problem


def kinds_of(schema: type[Schema]) -> Iterator[type[Schema]]:
    for kind in schema.__subclasses__():
        yield kind
        yield from kinds_of(kind)


def test_a_detail_is_made_of_names_and_messages(client: FlaskClient) -> None:
    answer = client.post("/api/users/login", json={"email": 5})
    body = problem(answer, 400, "L01")
    assert body["detail"] == "email must be text; password is missing."
    assert body["errors"] == {"email": ["must be text"], "password": ["is missing"]}


@pytest.mark.parametrize("value", [None, [], "", "\0", "x" * 300, "å@example.com", -1, 1.5, True])
def test_every_message_completes_a_sentence_that_begins_with_the_members_name(value: Any) -> None:
    for kind in kinds_of(RequestSchema):
        names = [str(field.data_key) for field in kind().fields.values()]
        for body in ({}, dict.fromkeys(names, value)):
            for name, messages in kind().validate(body).items():
                for message in messages:
                    assert re.fullmatch(
                        "is missing|must (not )?(be|have|contain) [^.]+", message
                    ), f"{kind.__name__}: {name} {message}"


def test_the_fields_of_an_answer_do_no_more_than_rename() -> None:
    """Because returns() does not call them."""
    plain = {fields.String, fields.Integer, fields.Boolean, fields.UUID, fields.DateTime}
    made_by_returns = set(kinds_of(ResponseSchema)) - {ProblemResponse}
    for kind in made_by_returns:
        for name, field in kind().fields.items():
            assert type(field) in plain, f"{kind.__name__}.{name}"
            assert field.attribute is None, f"{kind.__name__}.{name}"


def test_answers_and_problems_say_that_they_are_utf_8(client: FlaskClient) -> None:
    for path, kind in {
        "/health/live": "application/json",
        "/openapi.json": "application/json",
        "/nothing": "application/problem+json",
    }.items():
        assert client.get(path).headers["Content-Type"] == f"{kind}; charset=utf-8"


def test_every_time_is_to_the_second(clock: Any, anna: Person) -> None:
    clock.shift(1.115)
    anna.renew()
    paths = ("/api/users/info", "/api/users/sessions")
    answers = [anna.add_task(), *(anna.call("GET", path) for path in paths)]
    times = re.findall(r'"(\d{4}-[^"]+)"', "".join(answer.text for answer in answers))
    assert len(times) == 5
    for time in times:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time)
