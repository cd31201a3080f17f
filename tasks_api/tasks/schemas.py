"""The bodies of /api/tasks: what they may carry, and what comes back."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from ..errors import T00
from ..web.fields import Boolean, QueryInteger, Text, Timestamp, this_minute
from ..web.schemas import RequestSchema, ResponseSchema

PAGE_LIMIT = 1000
_NAME_EXAMPLE = {"example": "Buy milk"}


class TaskQuery(RequestSchema):
    """Which tasks."""

    problem = T00

    is_completed = fields.Boolean(
        truthy={"true", "True", "TRUE"},
        falsy={"false", "False", "FALSE"},
        load_default=None,
        error_messages={"invalid": "must be true or false"},
    )
    limit = QueryInteger(
        load_default=PAGE_LIMIT,
        validate=validate.Range(1, PAGE_LIMIT, error=f"must be from 1 to {PAGE_LIMIT}"),
        metadata={"description": f"{PAGE_LIMIT} if not given"},
    )
    after = QueryInteger(load_default=0, metadata={"description": "the id of the last task seen"})


class NewTask(RequestSchema):
    """A task to add."""

    problem = T00

    name = Text(100, required=True, metadata=_NAME_EXAMPLE)
    is_completed = Boolean(load_default=False)
    ts = Timestamp(load_default=this_minute, metadata={"description": "now if not given"})


class WholeTask(NewTask):
    """A task to replace."""

    id = fields.Integer(strict=True, required=True, metadata={"example": 1})
    is_completed = Boolean(required=True)

    @ma.validates("id")
    def not_zero(self, value: int, **_kwargs: Any) -> None:
        """0 is what a client sends that has none."""
        if value == 0:
            raise ma.ValidationError("is missing")


class TaskChanges(RequestSchema):
    """What to change; the rest stays."""

    problem = T00
    null_is_absent = False

    name = Text(100, metadata=_NAME_EXAMPLE)
    is_completed = Boolean()
    ts = Timestamp()


class TaskResponse(ResponseSchema):
    """A task."""

    id = fields.Integer(metadata={"example": 1})
    name = fields.String(metadata=_NAME_EXAMPLE)
    is_completed = fields.Boolean(metadata={"example": False})
    ts = Timestamp()


class DeletedResponse(ResponseSchema):
    """Which task was deleted."""

    task_id = fields.Integer(metadata={"example": 1})
