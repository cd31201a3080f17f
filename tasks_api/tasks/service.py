"""The rules of tasks: everybody sees and changes only their own."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Row, Update, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..clock import now, to_smalldatetime
from ..database import db
from ..errors import A04, T01, ApiError
from ..models import Task

MAX_ID = 2**31 - 1  # the column's; no statement ever carries a larger one
AnyRow = Row[*tuple[Any, ...]]
_TASK = (Task.id, Task.name, Task.is_completed, Task.ts)


def page(user_id: int, *, is_completed: bool | None, limit: int, after: int) -> tuple[list[AnyRow], bool]:
    """The tasks that follow ``after``, by id, and whether there are more."""
    if after > MAX_ID:
        return [], False
    query = select(*_TASK).where(Task.user_id == user_id, Task.id > after)
    if is_completed is not None:
        query = query.where(Task.is_completed if is_completed else ~Task.is_completed)
    rows = list(db.session.execute(query.order_by(Task.id).limit(limit + 1)))
    return rows[:limit], len(rows) > limit


def get(user_id: int, task_id: int) -> AnyRow:
    """One task.

    Raises:
        ApiError: T01, for a task that does not exist and for somebody else's.
    """
    _check(task_id)
    row = db.session.execute(select(*_TASK).where(Task.id == task_id, Task.user_id == user_id)).first()
    if row is None:
        raise ApiError(T01)
    return row


def add(user_id: int, *, name: str, is_completed: bool, ts: datetime | None) -> Mapping[str, object]:
    """Add a task.

    Raises:
        ApiError: A04, the user is gone.
    """
    values = {"name": name, "is_completed": is_completed, "ts": ts or to_smalldatetime(now())}
    try:
        return values | {"id": _insert(values | {"user_id": user_id})}
    except IntegrityError:
        raise ApiError(A04) from None


def _insert(values: Mapping[str, object]) -> int:
    # Here and in change(): a result that is read to its end, for SQLite commits then and not before.
    return db.session.execute(insert(Task).values(values).returning(Task.id)).scalar_one()


def replace(user_id: int, task_id: int, *, name: str, is_completed: bool, ts: datetime | None) -> Mapping[str, object]:
    """Replace a task.

    Raises:
        ApiError: T01.
    """
    values = {"name": name, "is_completed": is_completed, "ts": ts or to_smalldatetime(now())}
    _check(task_id)
    _execute_on_one(_update(user_id, task_id, values))
    return values | {"id": task_id}


def change(user_id: int, task_id: int, values: Mapping[str, object]) -> AnyRow:
    """Change what ``values`` names, and nothing else.

    Raises:
        ApiError: T01.
    """
    if not values:
        return get(user_id, task_id)
    _check(task_id)
    row = db.session.execute(_update(user_id, task_id, values).returning(*_TASK)).one_or_none()
    if row is None:
        raise ApiError(T01)
    return row


def remove(user_id: int, task_id: int) -> None:
    """Delete a task.

    Raises:
        ApiError: T01.
    """
    _check(task_id)
    _execute_on_one(delete(Task).where(Task.id == task_id, Task.user_id == user_id))


def _update(user_id: int, task_id: int, values: Mapping[str, object]) -> Update:
    return update(Task).where(Task.id == task_id, Task.user_id == user_id).values(values)


def _execute_on_one(statement: Update | Delete) -> None:
    result = db.session.execute(statement.execution_options(synchronize_session=False))
    if not cast(CursorResult[Any], result).rowcount:
        raise ApiError(T01)


def _check(task_id: int) -> None:
    if not 0 < task_id <= MAX_ID:
        raise ApiError(T01)
