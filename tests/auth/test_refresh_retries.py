"""A refresh with a token that was used: a second tab, a late request, a lost answer, a thief. Cases 4 to 6."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from tasks_api.database.tables import session_table
from tests.auth.conftest import row_of
from tests.conftest import MakeApp, Person, invalid_grant, joined, stored, write

MONTH = 30 * 24 * 3600  # seconds
WINDOW = 60  # the default
ELSEWHERE = "203.0.113.9"

pytestmark = pytest.mark.usefixtures("clock")


def assert_over(*holders: Person) -> None:
    for holder in holders:
        invalid_grant(holder.refreshed())
        assert not holder.is_in()


# --- case 4: a second tab, or a late request --------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2::3", "2001:db8:1:2:4:5:6:7"),  # one subscriber's /64
    ],
)
def test_within_the_window_the_same_client_gets_the_same_successor(
    app: Flask, anna: Person, clock: Any, first: str, again: str
) -> None:
    anna.address = first
    successor = anna.refreshed().get_json()["refreshToken"]
    assert anna.keep(anna.refreshed(successor)).status_code == 200  # used by the first tab
    anna.address = again
    clock.shift(WINDOW)
    assert anna.refreshed(successor).get_json()["refreshToken"] == anna.refresh
    assert row_of(app).counter == 2


@pytest.mark.parametrize(
    ("first", "again", "wait"),
    [
        ("127.0.0.1", ELSEWHERE, 0),
        ("2001:db8:1:2::3", "2001:db8:1:3::3", 0),
        ("unknown", "unknown", 0),  # an unknown address is never the same one
        ("127.0.0.1", "127.0.0.1", WINDOW + 0.001),
    ],
)
def test_from_elsewhere_or_after_the_window_a_used_token_ends_its_session_alone(
    anna: Person, clock: Any, first: str, again: str, wait: float
) -> None:
    phone = anna.other_device()
    thief = replace(anna, address=again)
    anna.address = first
    anna.renew()
    assert anna.is_in()
    clock.shift(wait)
    invalid_grant(thief.refreshed())
    assert_over(anna)
    assert phone.is_in()


def test_a_late_request_of_the_same_client_ends_nothing(anna: Person, clock: Any) -> None:
    stuck = replace(anna)
    for _ in range(3):
        anna.renew()
        assert anna.is_in()
    clock.shift(WINDOW)
    invalid_grant(stuck.refreshed())
    anna.renew()
    clock.shift(WINDOW + 1)
    invalid_grant(stuck.refreshed())
    assert_over(anna)


def test_a_rotation_in_the_future_counts_as_now(anna: Person, clock: Any) -> None:
    anna.refreshed()
    clock.shift(-4)
    assert anna.refreshed().status_code == 200


# --- case 5: a lost answer --------------------------------------------------------------------------------


def test_a_lost_answer_is_given_again_however_late(make_app: MakeApp, clock: Any) -> None:
    app = make_app(REFRESH_TOKEN_DAYS="60")
    anna = joined(app)
    for wait in (WINDOW + 1, 3600, MONTH):
        lost = anna.refreshed().get_json()["refreshToken"]
        anna.address = f"198.51.100.{wait % 200}"
        clock.shift(wait)
        anna.renew()
        assert anna.refresh != lost
        assert anna.is_in()
    assert row_of(app).counter == 6


def test_a_repeat_within_the_window_gets_the_new_successor(anna: Person, clock: Any) -> None:
    anna.refreshed()
    clock.shift(WINDOW + 1)
    again = [anna.refreshed().get_json()["refreshToken"] for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize("rotations", [0, 1, 3])
@pytest.mark.parametrize("act", [Person.refreshed, Person.is_in])
def test_an_act_with_a_void_answer_ends_the_session(
    anna: Person, act: Callable[[Person], Any], rotations: int
) -> None:
    thief = replace(anna, address=ELSEWHERE)
    thief.renew()
    anna.renew()  # she presumes her answer lost
    for _ in range(rotations):
        assert anna.is_in()
        anna.renew()
    act(thief)
    assert_over(anna, thief)


def test_void_answers_in_a_row_are_one_range_and_the_next_begins_a_new_one(
    app: Flask, anna: Person, clock: Any
) -> None:
    def void_range_after_a_lost_answer() -> tuple[int, int]:
        anna.refreshed()
        clock.shift(WINDOW + 1)
        return row_of(app).first_void, row_of(app).last_void

    ranges = [void_range_after_a_lost_answer() for _ in range(3)]
    assert ranges == [(0, 0), (1, 1), (1, 2)]
    anna.renew()
    assert void_range_after_a_lost_answer() == (1, 3)
    assert void_range_after_a_lost_answer() == (5, 5)


# --- case 6 and its window --------------------------------------------------------------------------------


def test_a_counter_ahead_of_the_row_ends_the_session(app: Flask, anna: Person) -> None:
    old = row_of(app)
    anna.renew()
    # As after the restore of a backup:
    write(app, session_table, counter=0, token_hash=old.token_hash, rotated_at=None)
    invalid_grant(anna.refreshed())
    assert not stored(app, session_table)


@pytest.mark.parametrize("wait", [0, WINDOW + 1])
def test_a_window_of_zero_gives_no_second_answer(
    make_app: MakeApp, clock: Any, wait: int
) -> None:
    anna = joined(make_app(REFRESH_RETRY_SECONDS="0"))
    anna.refreshed()
    clock.shift(wait)
    assert_over(anna)


def test_events_name_the_case(
    make_app: MakeApp, capsys: pytest.CaptureFixture[str], clock: Any
) -> None:
    anna = joined(make_app())
    stuck, thief = replace(anna), replace(anna, address=ELSEWHERE)
    anna.refreshed()
    clock.shift(3)
    anna.refreshed()
    clock.shift(WINDOW)
    anna.renew()
    anna.renew()
    invalid_grant(stuck.refreshed())
    invalid_grant(thief.refreshed())
    events = re.findall(r'"reason":"(\w+)"(?:,"age":(\d+))?', capsys.readouterr().err)
    assert events == [("tab", "3"), ("lost_answer", "63"), ("late", ""), ("replay", "")]
