"""Schemas of answers: what they dump as it is, and what they refuse."""

import pytest
from marshmallow import fields

from tasks_api.web.schemas import ResponseSchema


def test_a_field_that_does_more_than_rename_is_refused() -> None:
    """For ``dump`` would skip what it does."""

    class Shouted(fields.String):
        def _serialize(self, value: object, *_args: object, **_kwargs: object) -> str:
            return str(value).upper()

    class Answer(ResponseSchema):
        first_name = fields.String()

    class Loud(ResponseSchema):
        first_name = Shouted()

    assert Answer().dump({"first_name": "Anna"}) == {"firstName": "Anna"}
    with pytest.raises(TypeError, match=r"Loud\.first_name: a Shouted is not dumped as it is"):
        Loud()
