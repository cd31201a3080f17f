"""/api/tasks: the caller's own tasks."""

from functools import partial
from typing import Any

from flask import url_for

from ..auth.access_tokens import caller, signed_in
from ..errors import D01, T01, ApiError
from ..web.blueprint import Blueprint, refuses, returns
from ..web.paging import LINK, page_of
from ..web.parsing import takes
from . import service
from .schemas import DeletedResponse, NewTask, TaskChanges, TaskQuery, TaskResponse, WholeTask

tasks = Blueprint("tasks", "/api/tasks", signed_in)

_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "the new task's address"}}


@tasks.get("")
@returns(TaskResponse(many=True), headers=LINK)
@takes(TaskQuery(), "query")
def list_tasks(query: dict[str, Any]) -> Any:
    """List my tasks by id.

    The list begins after the task `after`. When there are more than `limit`, the header Link names the next page.
    """
    return page_of(query, partial(service.list_tasks, caller().user_id))


@tasks.get("/<id:task_id>")
@returns(TaskResponse())
@refuses(T01)
def get_task(task_id: int) -> Any:
    """Get one of my tasks.

    Another user's task is 404 too.
    """
    return service.get(caller().user_id, task_id)


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


@tasks.patch("/<id:task_id>")
@returns(TaskResponse())
@refuses(T01)
@takes(TaskChanges())
def change_task(body: dict[str, Any], task_id: int) -> Any:
    """Change one of my tasks.

    Only the members of the body change; null is not allowed.
    """
    return service.change(caller().user_id, task_id, body)


@tasks.delete("/<id:task_id>")
@returns(DeletedResponse())
@refuses(D01, T01)
def delete_task(task_id: int) -> Any:
    """Delete one of my tasks.

    Returns its id.
    """
    if task_id == 0:
        raise ApiError(D01)
    service.remove(caller().user_id, task_id)
    return {"task_id": task_id}
