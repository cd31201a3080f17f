"""The bodies of /api/tasks: requests and answers."""

from marshmallow import fields

from ..clock import now_as_smalldatetime
from ..errors import T00
from ..web.blueprint import ResponseSchema
from ..web.fields import Boolean, Id, QueryBoolean, Text, Timestamp
from ..web.paging import PageQuery
from ..web.parsing import RequestSchema

_NAME_EXAMPLE = {"example": "Buy milk"}


class TaskQuery(PageQuery):
    """Which tasks to list."""

    problem = T00

    is_completed = QueryBoolean(load_default=lambda: None)


class NewTask(RequestSchema):
    """A task to add."""

    problem = T00

    name = Text(100, required=True, metadata=_NAME_EXAMPLE)
    is_completed = Boolean(load_default=bool)
    ts = Timestamp(
        load_default=now_as_smalldatetime, metadata={"description": "now if not given"}
    )


class TaskChanges(RequestSchema):
    """What to change; the rest stays."""

    problem = T00
    null_is_absent = False

    name = Text(100, metadata=_NAME_EXAMPLE)
    is_completed = Boolean()
    ts = Timestamp()


class WholeTask(TaskChanges):
    """A task to replace. What is not here stays, so a client that does not know a new member does not reset it."""

    null_is_absent = True

    id = Id(required=True)
    name = Text(100, required=True, metadata=_NAME_EXAMPLE)
    is_completed = Boolean(required=True)
    ts = Timestamp(load_default=now_as_smalldatetime)


class TaskResponse(ResponseSchema):
    """A task."""

    id = fields.Integer(metadata={"example": 1})
    name = fields.String(metadata=_NAME_EXAMPLE)
    is_completed = fields.Boolean(metadata={"example": False})
    ts = fields.DateTime(metadata={"description": "to the minute"})


class DeletedResponse(ResponseSchema):
    """The id of the deleted task."""

    task_id = fields.Integer(metadata={"example": 1})
