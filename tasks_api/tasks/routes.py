"""/api/tasks: the caller's own tasks."""

from typing import Any

from flask import url_for

from ..auth.access_tokens import authenticate, caller
from ..errors import D01, T01, ApiError
from ..models import MAX_ID
from ..web.blueprint import Blueprint
from . import service
from .schemas import DeletedResponse, NewTask, TaskChanges, TaskQuery, TaskResponse, WholeTask

tasks = Blueprint("tasks", "/api/tasks", "The caller's own tasks", authenticate)

_LINK = {
    "Link": {
        "schema": {"type": "string"},
        "description": 'RFC 8288, rel="next", when there are more',
    }
}
_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "the new task's address"}}


@tasks.get("")
@tasks.errors()
@tasks.arguments(TaskQuery(), location="query")
@tasks.response(200, TaskResponse(many=True), headers=_LINK)
def list_tasks(query: dict[str, Any]) -> Any:
    """My tasks, by id.

    Those that follow `after`; when there are more than `limit`, the header Link leads on.
    """
    rows, more = service.list_tasks(caller().user_id, **query)
    if not more:
        return rows
    page = {"isCompleted": query["is_completed"], "limit": query["limit"], "after": rows[-1].id}
    following = url_for(".list_tasks", **page)  # without what is None
    return rows, {"Link": f'<{following}>; rel="next"'}


@tasks.get("/<task_id>")
@tasks.errors(T01)
@tasks.response(200, TaskResponse)
def get_task(task_id: str) -> Any:
    """One of my tasks.

    Somebody else's are as unknown as any.
    """
    return service.get(caller().user_id, _number(task_id))


@tasks.post("")
@tasks.errors()
@tasks.arguments(NewTask())
@tasks.response(201, TaskResponse, headers=_LOCATION)
def add_task(body: dict[str, Any]) -> Any:
    """Add a task.

    Its id is the database's; the header Location is its address.
    """
    added = service.add(caller().user_id, body)
    return added, {"Location": url_for(".get_task", task_id=added["id"])}


@tasks.put("")
@tasks.errors(T01)
@tasks.arguments(WholeTask())
@tasks.response(200, TaskResponse)
def replace_task(body: dict[str, Any]) -> Any:
    """Replace one of my tasks.

    Its id is in the body, as the .NET original has it.
    """
    return service.change(caller().user_id, body.pop("id"), body)


@tasks.patch("/<task_id>")
@tasks.errors(T01)
@tasks.arguments(TaskChanges())
@tasks.response(200, TaskResponse)
def change_task(body: dict[str, Any], task_id: str) -> Any:
    """Change what the body names of one of my tasks.

    The rest stays; null is malformed.
    """
    return service.change(caller().user_id, _number(task_id), body)


@tasks.delete("/<task_id>")
@tasks.errors(D01, T01)
@tasks.response(200, DeletedResponse)
def delete_task(task_id: str) -> Any:
    """Delete one of my tasks.

    For good.
    """
    number = _number(task_id)
    if number == 0:
        raise ApiError(D01)
    service.remove(caller().user_id, number)
    return {"task_id": number}


def _number(text: str) -> int:
    """The id in a path: 0 for what is no number, and too large a one for what has too many digits."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        return 0
    return int(text) if len(digits) <= 18 else MAX_ID + 1
