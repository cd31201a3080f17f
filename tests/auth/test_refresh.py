"""The cases of a refresh, one promise each."""

import uuid
from base64 import b64encode
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tasks_api.auth.refresh_tokens import decode, token_hash
from tasks_api.database.tables import session_table
from tests.conftest import (
    MakeApp,
    Person,
    invalid_grant,
    joined,
    problem,
    stored,
    watch,
    write,
)

DAY = 24 * 3600

pytestmark = pytest.mark.usefixtures("clock")


def row_of(app: Flask) -> Any:
    (row,) = stored(app, session_table)
    return row


def test_a_refresh_rotates_the_token_of_the_same_session(app: Flask, anna: Person) -> None:
    first, before = anna.refresh, row_of(app)
    anna.renew()
    assert anna.refresh != first
    after = row_of(app)
    assert (after.session_id, after.counter) == (before.session_id, 1)
    assert anna.is_in()


def test_the_database_holds_only_a_salted_hash(app: Flask, anna: Person) -> None:
    for _ in range(2):
        row = row_of(app)
        assert anna.refresh not in str(row)
        assert row.token_hash == token_hash(decode(anna.refresh), row.token_salt)
        anna.renew()


def test_a_repeated_refresh_within_the_window_gets_the_same_successor(
    app: Flask, anna: Person, clock: Any
) -> None:
    first = anna.refreshed().get_json()
    clock.shift(10)
    again = anna.refreshed().get_json()
    assert again["refreshToken"] == first["refreshToken"]
    assert row_of(app).counter == 1


def test_a_replay_after_the_window_ends_its_session_alone(anna: Person, clock: Any) -> None:
    phone, used = anna.other_device(), anna.refresh
    anna.renew()
    assert anna.is_in()
    clock.shift(10.001)
    invalid_grant(anna.refreshed(used))
    invalid_grant(anna.refreshed())
    assert not anna.is_in()
    assert phone.is_in()
    assert phone.refreshed().status_code == 200


def test_two_who_share_an_answer_are_out_once_both_have_gone_on_from_it(
    anna: Person, clock: Any
) -> None:
    thief = Person(anna.client, refresh=anna.refresh)
    thief.renew()
    anna.renew()
    assert anna.refresh == thief.refresh  # within the window she may be the same client's tab
    anna.renew()
    clock.shift(11)
    thief.renew()  # her answer is unused, and may have been lost
    assert [thief.is_in(), anna.is_in(), thief.is_in()] == [True, False, False]


def test_an_older_token_ends_the_session_even_within_the_window(app: Flask, anna: Person) -> None:
    oldest = anna.refresh
    anna.renew()
    anna.renew()
    invalid_grant(anna.refreshed(oldest))
    assert not stored(app, session_table)


def test_a_counter_ahead_of_the_row_ends_the_session(app: Flask, anna: Person) -> None:
    old = row_of(app)
    anna.renew()
    # A restored backup:
    write(app, session_table, counter=0, token_hash=old.token_hash, rotated_at=None)
    invalid_grant(anna.refreshed())
    assert not stored(app, session_table)


def test_another_hash_in_the_row_ends_nothing(app: Flask, anna: Person) -> None:
    write(app, session_table, token_hash="of another token")
    invalid_grant(anna.refreshed())
    write(app, session_table, counter=1, rotated_at=row_of(app).started_at)
    invalid_grant(anna.refreshed())
    assert row_of(app)


def test_a_rotation_in_the_future_counts_as_now(anna: Person, clock: Any) -> None:
    anna.refreshed()
    clock.shift(-4)
    assert anna.refreshed().status_code == 200


def test_a_forged_token_changes_nothing(anna: Person, bertil: Person) -> None:
    token = decode(anna.refresh)
    forgeries = [
        token._replace(mac=bytes(32)),
        token._replace(counter=1),
        token._replace(session_id=uuid.uuid4()),
        token._replace(session_id=decode(bertil.refresh).session_id),
        b64encode(bytes(32)).decode(),  # the form of the original's
        anna.access,
    ]
    for forged in forgeries:
        invalid_grant(anna.refreshed(str(forged)))
    assert anna.refreshed().status_code == 200
    assert bertil.refreshed().status_code == 200


def test_a_token_belongs_to_its_user(app: Flask, anna: Person, bertil: Person) -> None:
    for other in (bertil.user_id, 2**60):
        invalid_grant(anna.refreshed(userId=other))
    assert [row.counter for row in stored(app, session_table)] == [0, 0]
    for own in (anna.user_id, 0, None):
        assert anna.keep(anna.refreshed(userId=own)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"refreshToken": 5},
        {"refreshToken": "x", "userId": "1"},
        {"refreshToken": "x", "userId": True},
    ],
)
def test_a_malformed_refresh_is_r01(client: FlaskClient, body: Any) -> None:
    problem(client.post("/api/users/refresh_token", json=body), 400, "R01")


def test_a_session_ends_when_it_is_not_refreshed(anna: Person, clock: Any) -> None:
    clock.shift(14 * DAY - 1)
    anna.renew()
    clock.shift(14 * DAY + 60)
    invalid_grant(anna.refreshed())


def test_a_session_lives_to_the_very_end(make_app: MakeApp, clock: Any) -> None:
    clock.shift(20)
    app = make_app(REFRESH_TOKEN_DAYS="1", ACCESS_TOKEN_SECONDS="86400")
    anna = joined(app)
    assert anna.sessions()[0]["expiresAt"] == "2026-05-02T12:00:00Z"
    clock.shift(DAY - 21)
    assert anna.is_in()
    assert len(anna.sessions()) == 1
    clock.shift(1)
    problem(anna.call("GET", "/api/users/info"), 401, "A04")


def test_a_session_ends_at_its_absolute_lifetime(app: Flask, anna: Person, clock: Any) -> None:
    for _ in range(8):
        clock.shift(11 * DAY)
        anna.renew()
    assert row_of(app).expiry_date.isoformat() == "2026-07-30T12:00:00+00:00"
    clock.shift(2 * DAY)
    invalid_grant(anna.refreshed())


def test_the_absolute_lifetime_is_todays_setting(
    make_app: MakeApp, anna: Person, clock: Any
) -> None:
    clock.shift(3 * DAY)
    anna.client = make_app(SESSION_MAX_DAYS="2").test_client()
    invalid_grant(anna.refreshed())


def test_a_key_is_rotated_without_signing_anybody_out(make_app: MakeApp, clock: Any) -> None:
    old, new = "o" * 32, "n" * 32
    anna = joined(make_app(REFRESH_TOKEN_KEY=old))
    lost = anna.refreshed().get_json()["refreshToken"]  # made by the old key, answer never seen
    anna.client = make_app(REFRESH_TOKEN_KEY=new, REFRESH_TOKEN_KEY_PREVIOUS=old).test_client()
    assert anna.refreshed().get_json()["refreshToken"] == lost
    clock.shift(60)
    anna.renew()  # made by the new one
    anna.client = make_app(REFRESH_TOKEN_KEY=new).test_client()
    assert anna.refreshed().status_code == 200


def test_a_refresh_and_a_list_cost_two_statements_and_the_first_list_one_more(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("tasks_api.auth.passwords.pbkdf2_hmac")  # and no password hash
    seen: list[str] = []
    watch(app, seen.append)
    anna.renew()
    assert len(seen) == 2, seen
    for statements in (3, 2, 2):  # an answer is used for the first time once
        seen.clear()
        assert anna.call("GET", "/api/tasks").status_code == 200
        assert len(seen) == statements, seen
