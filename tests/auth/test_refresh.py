"""The cases of a refresh, one promise each."""

import uuid
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select, update

from tasks_api.auth import refresh
from tasks_api.database.engine import db, execute, fetch_all
from tasks_api.models import refresh_tokens
from tests.conftest import MakeApp, Person, problem

NOW = "2026-05-01T12:00:00Z"
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def rows(app: Flask) -> list[Any]:
    with app.app_context():
        return list(fetch_all(select(refresh_tokens)))


def change(app: Flask, **values: Any) -> None:
    with app.app_context():
        execute(update(refresh_tokens).values(**values))


def test_a_refresh_rotates_the_token_of_the_same_session(app: Flask, anna: Person) -> None:
    first, before = anna.refresh, rows(app)[0]
    assert anna.keep(anna.refreshed()).status_code == 200
    assert anna.refresh != first
    after = rows(app)
    assert [(row.session_id, row.counter) for row in after] == [(before.session_id, 1)]
    assert after[0].token_hash != before.token_hash
    assert anna.is_in()


def test_names_of_the_angular_client_work(anna: Person) -> None:
    answer = anna.client.post(
        "/api/users/refresh_token", json={"UserId": anna.user_id, "RefreshToken": anna.refresh}
    )
    assert answer.status_code == 200


def test_the_database_holds_only_a_salted_hash(app: Flask, anna: Person) -> None:
    row = rows(app)[0]
    assert anna.refresh not in (row.token_hash, row.token_salt)
    assert (len(row.token_hash), len(row.token_salt)) == (44, 44)


def test_a_repeated_refresh_within_the_window_gets_the_same_successor(
    app: Flask, anna: Person, clock: Any
) -> None:
    used = anna.refresh
    first = anna.refreshed(used).get_json()
    clock.shift(10)
    again = anna.refreshed(used)
    assert again.status_code == 200
    assert again.get_json()["refreshToken"] == first["refreshToken"]
    assert rows(app)[0].counter == 1


def test_a_replay_after_the_window_ends_the_session(app: Flask, anna: Person, clock: Any) -> None:
    used = anna.refresh
    anna.keep(anna.refreshed())
    clock.shift(10.001)
    problem(anna.refreshed(used), 400, "invalid_grant")
    assert rows(app) == []
    problem(anna.refreshed(), 400, "invalid_grant")
    problem(anna.call("GET", "/api/users/info"), 401, "A04")


def test_an_older_token_ends_the_session_even_within_the_window(app: Flask, anna: Person) -> None:
    oldest = anna.refresh
    anna.keep(anna.refreshed())
    anna.keep(anna.refreshed())
    problem(anna.refreshed(oldest), 400, "invalid_grant")
    assert rows(app) == []


def test_a_replay_ends_only_its_own_session(anna: Person, clock: Any) -> None:
    phone, used = anna.other_device(), anna.refresh
    anna.keep(anna.refreshed())
    clock.shift(11)
    problem(anna.refreshed(used), 400, "invalid_grant")
    assert phone.is_in()
    assert phone.refreshed().status_code == 200


def test_a_window_of_zero_answers_nothing_twice(make_app: MakeApp) -> None:
    app = make_app(REFRESH_RETRY_SECONDS="0")
    anna = Person(app.test_client())
    anna.sign_up()
    anna.log_in()
    used = anna.refresh
    assert anna.refreshed(used).status_code == 200
    problem(anna.refreshed(used), 400, "invalid_grant")
    assert rows(app) == []


def test_a_counter_ahead_of_the_row_ends_the_session(app: Flask, anna: Person) -> None:
    old = rows(app)[0]
    anna.keep(anna.refreshed())
    change(app, counter=0, token_hash=old.token_hash, rotated_at=None)  # a restored backup
    problem(anna.refreshed(), 400, "invalid_grant")
    assert rows(app) == []


def test_another_hash_in_the_row_ends_nothing(app: Flask, anna: Person) -> None:
    used = anna.refresh
    change(app, token_hash="of another token")
    problem(anna.refreshed(), 400, "invalid_grant")
    change(app, counter=1, rotated_at=rows(app)[0].started_at)
    problem(anna.refreshed(used), 400, "invalid_grant")
    assert len(rows(app)) == 1


def test_a_rotation_in_the_future_counts_as_now(app: Flask, anna: Person, clock: Any) -> None:
    used = anna.refresh
    anna.refreshed()
    clock.shift(-4)
    assert anna.refreshed(used).status_code == 200


def test_a_forged_token_changes_nothing(app: Flask, anna: Person) -> None:
    raw = urlsafe_b64decode(anna.refresh + "==")
    forgeries = [
        urlsafe_b64encode(raw[:-1] + bytes([raw[-1] ^ 1])),
        urlsafe_b64encode(raw[:19] + bytes([raw[19] + 1]) + raw[20:]),
        urlsafe_b64encode(uuid.uuid4().bytes + raw[16:]),
        b64encode(bytes(32)),  # the form of the original's
    ]
    for forged in forgeries:
        problem(anna.refreshed(forged.decode().rstrip("=")), 400, "invalid_grant")
    problem(anna.refreshed(b64encode(bytes(32)).decode()), 400, "invalid_grant")
    problem(anna.refreshed("x" * 60_000), 400, "invalid_grant")
    assert anna.refreshed().status_code == 200


def test_a_token_belongs_to_its_user(app: Flask, anna: Person, bertil: Person) -> None:
    for other in (bertil.user_id, 99, -1, 2**60):
        answer = anna.refreshed(userId=other)
        assert answer.status_code == 400
    assert [row.counter for row in rows(app)] == [0, 0]
    for own in (anna.user_id, 0, None):
        assert anna.keep(anna.refreshed(userId=own)).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"refreshToken": ""}, {"refreshToken": 5}, {"refreshToken": None}, []]
)
def test_a_malformed_refresh_is_r01(client: FlaskClient, body: Any) -> None:
    problem(client.post("/api/users/refresh_token", json=body), 400, "R01")


@pytest.mark.parametrize("user_id", ["1", True, 1.5, []])
def test_a_user_id_of_another_type_is_r01(anna: Person, user_id: Any) -> None:
    problem(anna.refreshed(userId=user_id), 400, "R01")


def test_a_session_ends_when_it_is_not_refreshed(anna: Person, clock: Any) -> None:
    clock.shift(14 * DAY - 1)
    assert anna.keep(anna.refreshed()).status_code == 200
    clock.shift(14 * DAY + 60)
    problem(anna.refreshed(), 400, "invalid_grant")


def test_a_session_ends_at_its_absolute_lifetime(app: Flask, anna: Person, clock: Any) -> None:
    for _ in range(8):
        clock.shift(11 * DAY)
        assert anna.keep(anna.refreshed()).status_code == 200
    assert rows(app)[0].expiry_date.isoformat() == "2026-07-30T12:00:00+00:00"
    clock.shift(2 * DAY)
    problem(anna.refreshed(), 400, "invalid_grant")


def test_the_absolute_lifetime_is_todays_setting(
    make_app: MakeApp, anna: Person, clock: Any
) -> None:
    clock.shift(3 * DAY)
    strict = Person(make_app(SESSION_MAX_DAYS="2").test_client(), refresh=anna.refresh)
    problem(strict.refreshed(), 400, "invalid_grant")


def test_a_key_is_rotated_without_signing_anybody_out(make_app: MakeApp, clock: Any) -> None:
    old, new = "o" * 32, "n" * 32
    keys = {"JWT_SECRET_KEY": old, "REFRESH_TOKEN_KEY": old}
    anna = Person(make_app(**keys).test_client())
    anna.sign_up()
    anna.log_in()
    used = anna.refresh
    lost = anna.refreshed().get_json()["refreshToken"]  # made by the old key, answer never seen
    keys = {
        f"{name}{suffix}": key for name in keys for suffix, key in (("", new), ("_PREVIOUS", old))
    }
    anna.client = make_app(**keys).test_client()
    assert anna.is_in()
    assert anna.refreshed(used).get_json()["refreshToken"] == lost
    anna.refresh = lost
    assert anna.keep(anna.refreshed()).status_code == 200
    keys = {"JWT_SECRET_KEY": new, "REFRESH_TOKEN_KEY": new}
    anna.client = make_app(**keys).test_client()
    assert anna.is_in()
    assert anna.refreshed().status_code == 200


def test_losing_the_race_answers_the_winners_successor(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate, used = refresh._rotate, anna.refresh
    answers = []

    def rotate_second(*args: Any) -> bool:
        monkeypatch.setattr(refresh, "_rotate", rotate)
        answers.append(Person(app.test_client()).refreshed(used))
        return rotate(*args)

    monkeypatch.setattr(refresh, "_rotate", rotate_second)
    answers.append(anna.refreshed(used))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.get_json()["refreshToken"] for answer in answers}) == 1
    assert rows(app)[0].counter == 1


def test_losing_the_race_to_a_logout_is_refused(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log_out_first(*_args: Any) -> bool:
        anna.client.post("/api/users/logout", json={"refreshToken": anna.refresh})
        return False

    monkeypatch.setattr(refresh, "_rotate", log_out_first)
    problem(anna.refreshed(), 400, "invalid_grant")


def test_a_refresh_costs_two_statements_and_no_password_hash(
    app: Flask, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("tasks_api.auth.passwords.pbkdf2_hmac")
    assert len(statements(app, anna.refreshed)) == 2


def test_a_list_costs_two_statements(app: Flask, anna: Person) -> None:
    assert len(statements(app, lambda: anna.call("GET", "/api/tasks"))) == 2


def statements(app: Flask, request: Any) -> list[str]:
    seen: list[str] = []
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    assert request().status_code == 200
    return [statement for statement in seen if not statement.startswith("BEGIN")]
