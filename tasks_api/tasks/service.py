"""The rules of tasks: everybody sees and changes only their own."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError

from ..database.engine import AnyRow, execute, fetch_all, fetch_one, insert_row
from ..errors import A04, T01, ApiError
from ..models import MAX_ID, tasks

task = tasks.c
_TASK = (task.id, task.name, task.is_completed, task.ts)

# Built once: building a statement takes longer than executing it.
_OWN = (
    select(*_TASK)
    .where(task.user_id == bindparam("user_id"), task.id > bindparam("after"))
    .order_by(task.id)
)
_ONE = select(*_TASK).where(task.id == bindparam("task_id"), task.user_id == bindparam("user_id"))


@lru_cache(maxsize=100)
def _own_tasks(is_completed: bool | None, limit: int) -> Select[Any]:
    # The limit is no parameter: of one SQLAlchemy makes a window function on SQL Server, where TOP does.
    query = _OWN
    if is_completed is not None:
        query = query.where(task.is_completed == is_completed)
    return query.limit(limit)


def list_tasks(
    user_id: int, *, is_completed: bool | None, limit: int, after: int
) -> tuple[Sequence[AnyRow], bool]:
    """The tasks that follow ``after``, by id, and whether there are more."""
    if after > MAX_ID:
        return [], False
    rows = fetch_all(_own_tasks(is_completed, limit + 1), {"user_id": user_id, "after": after})
    return rows[:limit], len(rows) > limit


def get(user_id: int, task_id: int) -> AnyRow:
    """One task.

    Raises:
        ApiError: T01, for a task that does not exist and for somebody else's.
    """
    _check(task_id)
    return _found(fetch_one(_ONE, {"task_id": task_id, "user_id": user_id}))


def add(user_id: int, values: Mapping[str, object]) -> Mapping[str, object]:
    """Add a task: its name, is_completed and ts.

    Raises:
        ApiError: A04, the user is gone.
    """
    try:
        return {"id": insert_row(tasks, {"user_id": user_id, **values}), **values}
    except IntegrityError:
        raise ApiError(A04) from None


def change(user_id: int, task_id: int, values: Mapping[str, object]) -> AnyRow:
    """Change what ``values`` names, and nothing else.

    Raises:
        ApiError: T01.
    """
    if not values:
        return get(user_id, task_id)
    _check(task_id)
    own = (task.id == task_id, task.user_id == user_id)
    return _found(fetch_one(update(tasks).where(*own).values(values).returning(*_TASK)))


def remove(user_id: int, task_id: int) -> None:
    """Delete a task.

    Raises:
        ApiError: T01.
    """
    _check(task_id)
    if not execute(delete(tasks).where(task.id == task_id, task.user_id == user_id)):
        raise ApiError(T01)


def _found(row: AnyRow | None) -> AnyRow:
    if row is None:
        raise ApiError(T01)
    return row


def _check(task_id: int) -> None:
    if not 0 < task_id <= MAX_ID:
        raise ApiError(T01)
