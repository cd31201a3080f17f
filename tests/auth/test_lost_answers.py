"""A lost answer signs nobody out, however late; of two holders the second to act ends the session."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from tasks_api.auth.refresh_tokens import Keyring, decode, token_hash
from tasks_api.database.tables import session_table
from tests.auth.conftest import KEY, claims_of, signed
from tests.conftest import MakeApp, Person, invalid_grant, joined, problem, stored, watch, write

MONTH = 30 * 24 * 3600

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(REFRESH_TOKEN_DAYS="60", JWT_SECRET_KEY=KEY, REFRESH_TOKEN_KEY=KEY)


def row_of(app: Flask) -> Any:
    (row,) = stored(app, session_table)
    return row


def is_over(*people: Person) -> bool:
    """Whether nobody gets anything any more."""
    refused = {person.refreshed().status_code for person in people} == {400}
    return refused and not any(person.is_in() for person in people)


def test_a_lost_answer_is_given_again_however_late(app: Flask, anna: Person, clock: Any) -> None:
    for wait in (11, 3600, MONTH):
        lost = anna.refreshed().get_json()["refreshToken"]
        clock.shift(wait)
        anna.renew()
        assert anna.refresh != lost
        assert anna.is_in()
    assert row_of(app).counter == 6


def test_answers_can_be_lost_again_and_again(app: Flask, anna: Person, clock: Any) -> None:
    for _ in range(62):
        anna.refreshed()
        clock.shift(60)
    assert anna.refreshed().status_code == 200  # the 62nd is given again
    clock.shift(60)
    invalid_grant(anna.refreshed())  # more are not remembered
    assert not stored(app, session_table)


def test_a_repeat_in_time_gets_the_answer_that_was_given_again(anna: Person, clock: Any) -> None:
    anna.refreshed()
    clock.shift(60)
    again = [anna.refreshed().get_json()["refreshToken"] for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize("act", [lambda void: void.refreshed(), lambda void: void.is_in()])
@pytest.mark.parametrize("rotations", [0, 1, 3])
def test_whoever_acts_with_a_void_answer_ends_the_session(
    anna: Person, clock: Any, act: Callable[[Person], Any], rotations: int
) -> None:
    thief = replace(anna)
    thief.renew()  # and lies low
    clock.shift(60)
    anna.renew()
    for _ in range(rotations):
        assert anna.is_in()
        anna.renew()
    act(thief)
    assert is_over(anna, thief)


def test_a_window_of_zero_gives_no_second_answer_of_either_kind(
    make_app: MakeApp, clock: Any
) -> None:
    for wait in (0, 60):
        anna = joined(make_app(REFRESH_RETRY_SECONDS="0"), f"wait{wait}@example.com")
        anna.refreshed()
        clock.shift(wait)
        assert is_over(anna)


# --- access tokens ---------------------------------------------------------------------------------------


def with_counter(person: Person, counter: int | None) -> Person:
    """The same person, with an access token that names another answer, or none."""
    claims = claims_of(person)
    del claims["ctr"]
    if counter is not None:
        claims["ctr"] = counter
    return replace(person, access=signed(claims))


@pytest.mark.parametrize("counter", [0, None])
def test_older_access_tokens_and_those_without_the_claim_are_let_in_and_count_as_nothing(
    app: Flask, anna: Person, clock: Any, counter: int | None
) -> None:
    parent, older = replace(anna), with_counter(anna, counter)
    anna.renew()
    assert older.is_in()
    assert row_of(app).used_counter == 0
    clock.shift(60)
    assert parent.refreshed().status_code == 200


def test_an_access_token_from_before_a_restored_backup_ends_the_session(anna: Person) -> None:
    problem(with_counter(anna, 1).call("GET", "/api/tasks"), 401, "A04")
    assert is_over(anna)


def test_a_claim_that_is_no_number_is_a03(anna: Person) -> None:
    wrong: Any = "1"
    problem(with_counter(anna, wrong).call("GET", "/api/tasks"), 401, "A03")
    assert anna.is_in()


def test_a_use_that_cannot_be_written_is_answered_and_written_later(
    app: Flask, anna: Person
) -> None:
    refused: list[str] = []

    def refuse(statement: str) -> None:
        if statement.startswith("UPDATE") and not refused:
            refused.append(statement)
            raise OperationalError(statement, {}, Exception("attempt to write a readonly database"))

    anna.renew()
    watch(app, refuse)
    for used in (0, 1):
        assert anna.is_in()
        assert row_of(app).used_counter == used
    assert refused


# --- beside processes that know nothing of it ------------------------------------------------------------


def rotated_by_an_older_process(app: Flask) -> str:
    """The current refresh token, after a process without the new columns has rotated."""
    row = row_of(app)
    token = Keyring([KEY.encode()]).make(row.session_id, row.counter + 1, row.token_salt)
    hashed = token_hash(token, row.token_salt)
    write(app, session_table, counter=token.counter, token_hash=hashed)
    return str(token)


def test_an_older_process_beside_costs_nobody_the_session(
    app: Flask, anna: Person, clock: Any
) -> None:
    anna.refreshed()
    clock.shift(60)
    anna.renew()  # the first answer is void
    anna.refresh = rotated_by_an_older_process(app)
    assert with_counter(anna, 2).is_in()
    assert with_counter(anna, None).is_in()
    clock.shift(60)
    anna.renew()
    assert anna.is_in()
    assert anna.refreshed().status_code == 200


# --- events ----------------------------------------------------------------------------------------------


def test_events_say_which_kind(
    make_app: MakeApp, capsys: pytest.CaptureFixture[str], clock: Any
) -> None:
    anna = joined(make_app())
    thief = replace(anna)
    thief.renew()
    clock.shift(3)
    anna.refreshed()
    clock.shift(60)
    anna.renew()
    thief.refreshed()
    events = re.findall(r'"reason":"(\w+)"(?:,"age":(\d+))?', capsys.readouterr().out)
    assert events == [("tab", "3"), ("lost_answer", "63"), ("void_used", "")]


# --- two requests at once --------------------------------------------------------------------------------

Act = Callable[[Person, Person, Person], int]
ACTS: dict[str, Act] = {
    "refreshes": lambda current, _parent, _void: current.refreshed().status_code,
    "repeats": lambda _current, parent, _void: parent.refreshed().status_code,
    "uses": lambda current, _parent, _void: current.is_in(),
    "uses a void one": lambda _current, _parent, void: void.is_in(),
    "refreshes a void one": lambda _current, _parent, void: void.refreshed().status_code,
    "logs out": lambda current, _parent, _void: (
        current.call("POST", "/api/users/logout").status_code
    ),
}


def three_holders(app: Flask, email: str, clock: Any) -> tuple[Person, Person, Person]:
    """Of the current answer, unused; of its parent; and of the one that was presumed lost."""
    parent = joined(app, email)
    void, current = replace(parent), replace(parent)
    void.renew()
    clock.shift(60)
    current.renew()
    clock.shift(60)
    return current, parent, void


def outcome(app: Flask, people: tuple[Person, Person, Person], statuses: list[int]) -> Any:
    session_id = decode(people[0].refresh).session_id
    kept = [
        (row.counter, row.used_counter, row.void_answers)
        for row in stored(app, session_table)
        if row.session_id == session_id
    ]
    return statuses, kept


@pytest.mark.parametrize("inner", ACTS)
@pytest.mark.parametrize("outer", ACTS)
def test_of_two_requests_at_once_one_is_as_if_it_came_after_the_other(
    app: Flask, clock: Any, outer: str, inner: str
) -> None:
    """The inner one runs whole between what the outer one has read and what it is about to write."""
    apart, at_once = (three_holders(app, f"{n}@example.com", clock) for n in "ab")
    first = ACTS[inner](*apart)
    serial = outcome(app, apart, [ACTS[outer](*apart), first])

    between: list[int] = []

    def interrupt(statement: str) -> None:
        if not statement.startswith("SELECT") and armed:
            armed.clear()
            between.append(ACTS[inner](*at_once))

    armed = [True]
    watch(app, interrupt)
    status = ACTS[outer](*at_once)
    assert not armed
    assert outcome(app, at_once, [status, *between]) == serial
