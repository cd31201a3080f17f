"""Two requests at the same time have the result of one after the other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from tasks_api.auth.refresh_tokens import decode
from tasks_api.database.tables import session_table
from tests.conftest import MakeApp, Person, joined, stored, watch

WINDOW = 60

pytestmark = pytest.mark.usefixtures("clock")

Holders = tuple[Person, Person, Person]
Act = Callable[[Person, Person, Person], int]

# What the holders of the current answer, of its parent and of a void answer can do.
ACTS: dict[str, Act] = {
    "refreshes": lambda current, _parent, _void: current.refreshed().status_code,
    "repeats": lambda _current, parent, _void: parent.refreshed().status_code,
    "uses": lambda current, _parent, _void: current.is_in(),
    "uses a void answer": lambda _current, _parent, void: void.is_in(),
    "refreshes a void answer": lambda _current, _parent, void: void.refreshed().status_code,
    "logs out": lambda current, _parent, _void: (
        current.call("POST", "/api/users/logout").status_code
    ),
}


def three_holders(app: Flask, email: str, clock: Any, wait: int) -> Holders:
    parent = joined(app, email)
    void, current = replace(parent), replace(parent)
    void.renew()
    clock.shift(WINDOW + 1)
    current.renew()
    clock.shift(wait)
    return current, parent, void


def outcome(app: Flask, holders: Holders, statuses: list[int]) -> Any:
    session_id = decode(holders[0].refresh).session_id
    numbers = [
        (row.counter, row.used_counter, row.first_void, row.last_void)
        for row in stored(app, session_table)
        if row.session_id == session_id
    ]
    return statuses, numbers


@pytest.mark.parametrize("wait", [0, WINDOW + 1])
@pytest.mark.parametrize("inner", ACTS)
@pytest.mark.parametrize("outer", ACTS)
def test_a_request_between_the_read_and_the_write_of_another_is_as_if_it_came_first(
    make_app: MakeApp, clock: Any, outer: str, inner: str, wait: int
) -> None:
    app, other_process = make_app(), make_app()
    holders = three_holders(app, "a@example.com", clock, wait)
    first = ACTS[inner](*holders)
    expected = outcome(app, holders, [ACTS[outer](*holders), first])

    holders = three_holders(app, "b@example.com", clock, wait)
    others = [replace(holder, client=other_process.test_client()) for holder in holders]
    inner_status: list[int] = []
    is_armed = [True]

    def interrupt(statement: str) -> None:
        if statement.startswith(("UPDATE", "DELETE")) and is_armed:
            is_armed.clear()
            inner_status.append(ACTS[inner](*others))

    watch(app, interrupt)
    status = ACTS[outer](*holders)
    if not is_armed:  # otherwise the outer request wrote nothing
        assert outcome(app, holders, [status, *inner_status]) == expected
