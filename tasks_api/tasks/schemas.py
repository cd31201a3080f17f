"""The bodies of /api/tasks: requests and answers."""

import marshmallow as ma
from marshmallow import fields, validate

from ..clock import now_as_smalldatetime
from ..errors import T00
from ..web.blueprint import ResponseSchema
from ..web.fields import Boolean, Integer, QueryBoolean, QueryInteger, Text, Timestamp
from ..web.parsing import RequestSchema

PAGE_LIMIT = 1000
_NAME_EXAMPLE = {"example": "Buy milk"}


class TaskQuery(RequestSchema):
    """Which tasks to list."""

    problem = T00

    is_completed = QueryBoolean(load_default=lambda: None)
    limit = QueryInteger(
        load_default=lambda: PAGE_LIMIT,
        validate=validate.Range(1, PAGE_LIMIT, error=f"must be from 1 to {PAGE_LIMIT}"),
        metadata={"description": f"{PAGE_LIMIT} if not given"},
    )
    after = QueryInteger(
        load_default=int, metadata={"description": "the id of the last task of the page before"}
    )


class NewTask(RequestSchema):
    """A task to add."""

    problem = T00

    name = Text(100, required=True, metadata=_NAME_EXAMPLE)
    is_completed = Boolean(load_default=bool)
    ts = Timestamp(
        load_default=now_as_smalldatetime, metadata={"description": "now if not given"}
    )


class WholeTask(NewTask):
    """A task to replace."""

    id = Integer(required=True, metadata={"example": 1})
    is_completed = Boolean(required=True)

    @ma.validates("id")
    def check_id(self, value: int, **_kwargs: object) -> None:
        """Refuse 0, which .NET clients send if they have no id."""
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
    ts = fields.DateTime()


class DeletedResponse(ResponseSchema):
    """The id of the deleted task."""

    task_id = fields.Integer(metadata={"example": 1})
