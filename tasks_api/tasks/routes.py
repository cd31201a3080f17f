"""/api/tasks: the caller's own tasks."""

import re
from typing import Any

from flask import url_for

from ..auth.access_tokens import caller, signed_in
from ..errors import D01, T01, ApiError
from ..web.blueprint import Blueprint, refuses, returns
from ..web.parsing import takes
from . import service
from .schemas import DeletedResponse, NewTask, TaskChanges, TaskQuery, TaskResponse, WholeTask

tasks = Blueprint("tasks", "/api/tasks", signed_in)

_LINK = {
    "Link": {
        "schema": {"type": "string"},
        "description": 'the next page, rel="next", when there are more tasks (RFC 8288)',
    }
}
_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "the new task's address"}}


@tasks.get("")
@returns(TaskResponse(many=True), headers=_LINK)
@takes(TaskQuery(), "query")
def list_tasks(query: dict[str, Any]) -> Any:
    """List my tasks by id.

    The list begins after the task `after`. When there are more than `limit`, the header Link names the next page.
    """
    rows, has_more = service.list_tasks(caller().user_id, **query)
    if not has_more:
        return rows
    page = {"limit": query["limit"], "after": rows[-1].id}
    if query["is_completed"] is not None:
        page["isCompleted"] = str(query["is_completed"]).lower()
    return rows, {"Link": f'<{url_for(".list_tasks", **page)}>; rel="next"'}


@tasks.get("/<task_id>")
@returns(TaskResponse())
@refuses(T01)
def get_task(task_id: str) -> Any:
    """Get one of my tasks.

    Another user's task is 404 too.
    """
    return service.get(caller().user_id, _number(task_id))


@tasks.post("")
@returns(TaskResponse(), 201, headers=_LOCATION)
@takes(NewTask())
def add_task(body: dict[str, Any]) -> Any:
    """Add a task.

    The database chooses its id; the header Location is its address.
    """
    added = service.add(caller().user_id, body)
    return added, {"Location": url_for(".get_task", task_id=added["id"])}


@tasks.put("")
@returns(TaskResponse())
@refuses(T01)
@takes(WholeTask())
def replace_task(body: dict[str, Any]) -> Any:
    """Replace one of my tasks.

    Its id is in the body, as in the .NET original.
    """
    return service.change(caller().user_id, body.pop("id"), body)


@tasks.patch("/<task_id>")
@returns(TaskResponse())
@refuses(T01)
@takes(TaskChanges())
def change_task(body: dict[str, Any], task_id: str) -> Any:
    """Change one of my tasks.

    Only the members of the body change; null is not allowed.
    """
    return service.change(caller().user_id, _number(task_id), body)


@tasks.delete("/<task_id>")
@returns(DeletedResponse())
@refuses(D01, T01)
def delete_task(task_id: str) -> Any:
    """Delete one of my tasks.

    Returns its id.
    """
    number = _number(task_id)
    if number == 0:
        raise ApiError(D01)
    service.remove(caller().user_id, number)
    return {"task_id": number}


def _number(text: str) -> int:
    """Return the id in a path. 0 stands for a text that is not a number."""
    return int(text[:20]) if re.fullmatch("-?[0-9]+", text) else 0
