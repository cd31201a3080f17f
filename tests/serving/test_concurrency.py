"""Promises of concurrency, with processes that share nothing but the database."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tasks_api.auth.refresh_tokens import decode
from tests.databases import databases
from tests.live import (
    PASSWORD,
    Live,
    at_once,
    log_in,
    new_user,
    serving,
    sign_up,
    wait_for,
    working,
)


def test_fifty_simultaneous_refreshes_have_one_successor(live: Live) -> None:
    tokens = new_user(live, "fifty@example.com")
    answers = at_once(50, lambda: live.refresh(tokens))
    assert Counter(answer.status_code for answer in answers) == {200: 50}
    (successor,) = {answer.json()["refreshToken"] for answer in answers}
    assert decode(successor).counter == 1
    for answer in answers:
        assert live.get("/api/users/info", answer.json()["accessToken"]).status_code == 200


def test_simultaneous_logins_keep_the_session_limit(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2, MAX_SESSIONS="3") as live:
        new_user(live, "limit@example.com")
        logins = at_once(12, lambda: log_in(live, "limit@example.com"))
        tokens = [login["accessToken"] for login in logins]
        answers = [live.get("/api/users/info", token).status_code for token in tokens]
    assert Counter(answers) == {200: 3, 401: 9}


def test_one_of_many_signups_gets_the_email(live: Live) -> None:
    answers = at_once(12, lambda: sign_up(live, "race@example.com"))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 11}


@pytest.mark.parametrize("number", range(4))
def test_a_deletion_is_whole_while_other_devices_are_at_work(live: Live, number: int) -> None:
    email = f"deleted-{number}@example.com"
    tokens = new_user(live, email)
    access = tokens["accessToken"]

    def log_in_and_out() -> requests.Response:
        answer = live.post("/api/users/login", {"email": email, "password": PASSWORD})
        if answer.status_code == 200:  # too many sessions would end the first one
            live.post("/api/users/logout", {"refreshToken": answer.json()["refreshToken"]})
        return answer

    acts: list[Callable[[], requests.Response]] = [
        lambda: live.post("/api/tasks", {"name": "x"}, access),
        log_in_and_out,
        lambda: live.refresh(tokens),
        lambda: live.get("/api/users/sessions", access),
    ]

    def delete() -> requests.Response:
        return live.post("/api/users/delete", {"currentPassword": PASSWORD}, access)

    with working(8, lambda: random.choice(acts)()) as answers:
        wait_for(lambda: answers[201] > 10)
        deleted = delete()
        while deleted.status_code == 500 and databases.is_imitation():
            deleted = delete()  # without range locks a task can be added meanwhile
        refused = answers[401]
        wait_for(lambda: answers[401] > refused + 20)
    assert deleted.status_code == 204
    assert answers.keys() == {200, 201, 400, 401}
    assert [act().status_code for act in acts] == [401, 401, 400, 401]
    assert sign_up(live, email).status_code == 201
