"""A refresh with a forged, an expired and the current token: cases 1 to 3 of auth/refresh.py."""

import uuid
from base64 import b64encode
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tasks_api.auth.refresh_tokens import decode
from tasks_api.database.tables import session_table
from tests.auth.conftest import row_of
from tests.conftest import MakeApp, Person, invalid_grant, joined, problem, stored, watch, write

DAY = 24 * 3600
WINDOW = 60  # seconds, the default

pytestmark = pytest.mark.usefixtures("clock")


# --- cases 1 and 2: not a token of a living session -------------------------------------------------------


def test_a_forged_token_changes_nothing(anna: Person, bertil: Person) -> None:
    token = decode(anna.refresh)
    forgeries = [
        token._replace(mac=bytes(32)),
        token._replace(counter=1),
        token._replace(session_id=uuid.uuid4()),
        token._replace(session_id=decode(bertil.refresh).session_id),
        b64encode(bytes(32)).decode(),  # the form of the .NET original's tokens
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
    [[], {}, {"refreshToken": 5}, {"refreshToken": "x", "userId": True}],
)
def test_a_malformed_refresh_is_r01(client: FlaskClient, body: Any) -> None:
    problem(client.post("/api/users/refresh_token", json=body), 400, "R01")


def test_a_session_ends_when_it_is_not_refreshed(anna: Person, clock: Any) -> None:
    clock.shift(14 * DAY - 1)
    anna.renew()
    clock.shift(14 * DAY + 60)
    invalid_grant(anna.refreshed())


def test_a_session_lives_until_its_expiry(make_app: MakeApp, clock: Any) -> None:
    clock.shift(20)
    anna = joined(make_app(REFRESH_TOKEN_DAYS="1", ACCESS_TOKEN_SECONDS="86400"))
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


def test_the_absolute_lifetime_is_the_setting_of_today(
    make_app: MakeApp, anna: Person, clock: Any
) -> None:
    clock.shift(3 * DAY)
    anna.client = make_app(SESSION_MAX_DAYS="2").test_client()
    invalid_grant(anna.refreshed())


# --- case 3: the current token ----------------------------------------------------------------------------


def test_another_hash_in_the_row_ends_nothing(app: Flask, anna: Person) -> None:
    write(app, session_table, token_hash="of another token")
    invalid_grant(anna.refreshed())
    write(app, session_table, counter=1, rotated_at=row_of(app).started_at)
    invalid_grant(anna.refreshed())
    assert row_of(app)


def test_a_changed_server_key_signs_no_user_out(make_app: MakeApp, clock: Any) -> None:
    old, new = "o" * 32, "n" * 32
    anna = joined(make_app(REFRESH_TOKEN_KEY=old))
    lost = anna.refreshed().get_json()["refreshToken"]
    anna.client = make_app(REFRESH_TOKEN_KEY=new, REFRESH_TOKEN_KEY_PREVIOUS=old).test_client()
    assert anna.refreshed().get_json()["refreshToken"] == lost
    clock.shift(WINDOW + 1)
    anna.renew()  # made by the new key
    anna.client = make_app(REFRESH_TOKEN_KEY=new).test_client()
    assert anna.refreshed().status_code == 200


def test_a_refresh_and_a_list_are_two_statements_and_the_first_list_one_more(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("tasks_api.auth.passwords.pbkdf2_hmac")  # neither hashes a password
    seen: list[str] = []
    watch(app, lambda statement: seen.append(statement.split()[0]))
    anna.renew()
    assert seen == ["SELECT", "UPDATE"]
    for statements in (["SELECT", "UPDATE", "SELECT"], ["SELECT", "SELECT"]):
        seen.clear()
        assert anna.call("GET", "/api/tasks").status_code == 200
        assert [word for word in seen if word != "PRAGMA"] == statements
