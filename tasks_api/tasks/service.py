"""The rules of tasks: users see and change only their own."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, update
from sqlalchemy.exc import IntegrityError

from ..auth.users import get_user
from ..database.engine import AnyRow, execute, fetch_all, fetch_one, insert_row
from ..database.tables import TASK, task_table
from ..errors import T01, ApiError

_COLUMNS = (TASK.id, TASK.name, TASK.is_completed, TASK.ts)

# Built once, because it is used in most requests, and building a statement takes longer than executing it.
_ONE_TASK = select(*_COLUMNS).where(
    TASK.id == bindparam("task_id"), TASK.user_id == bindparam("user_id")
)


@lru_cache(maxsize=100)
def _page(is_completed: bool | None, limit: int) -> Select[Any]:
    own = (TASK.user_id == bindparam("user_id"), TASK.id > bindparam("after"))
    query = select(*_COLUMNS).where(*own).order_by(TASK.id)
    if is_completed is not None:
        query = query.where(TASK.is_completed == is_completed)
    # A literal: with a parameter SQLAlchemy would use ROW_NUMBER instead of TOP on SQL Server.
    return query.limit(limit)


def list_tasks(
    user_id: int, *, is_completed: bool | None, limit: int, after: int
) -> Sequence[AnyRow]:
    """Return at most ``limit`` tasks of the user with an id above ``after``, ordered by id."""
    return fetch_all(_page(is_completed, limit), {"user_id": user_id, "after": after})


def get(user_id: int, task_id: int) -> AnyRow:
    """Return one task of the user.

    Raises:
        ApiError: T01, for a task that does not exist and for another user's.
    """
    return _found(fetch_one(_ONE_TASK, {"task_id": task_id, "user_id": user_id}))


def add(user_id: int, values: Mapping[str, object]) -> Mapping[str, object]:
    """Add a task of the user: name, is_completed and ts.

    Raises:
        ApiError: A04, the user was deleted.
    """
    try:
        return {"id": insert_row(task_table, {"user_id": user_id, **values}), **values}
    except IntegrityError:  # a foreign key refers to nothing
        get_user(user_id)  # A04 if it is the user
        raise


def change(user_id: int, task_id: int, values: Mapping[str, object]) -> AnyRow:
    """Change only the columns that ``values`` names.

    Raises:
        ApiError: T01.
    """
    if not values:
        return get(user_id, task_id)
    own = (TASK.id == task_id, TASK.user_id == user_id)
    return _found(fetch_one(update(task_table).where(*own).values(values).returning(*_COLUMNS)))


def remove(user_id: int, task_id: int) -> None:
    """Delete a task of the user.

    Raises:
        ApiError: T01.
    """
    own = (TASK.id == task_id, TASK.user_id == user_id)
    if not execute(delete(task_table).where(*own)):
        raise ApiError(T01)


def _found(row: AnyRow | None) -> AnyRow:
    if row is None:
        raise ApiError(T01)
    return row
