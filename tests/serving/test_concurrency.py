"""Promises of concurrency, with processes that share nothing but the database."""

import random
from collections import Counter
from collections.abc import Callable, Iterator

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
    successors = {answer.json()["refreshToken"] for answer in answers}
    assert len(successors) == 1
    assert decode(successors.pop()).counter == 1
    for answer in answers:
        assert live.get("/api/users/info", answer.json()["accessToken"]).status_code == 200


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("strict")
    with serving(folder, workers=2, REFRESH_RETRY_SECONDS="0", MAX_SESSIONS="3") as server:
        yield server


def test_without_a_retry_window_exactly_one_of_fifty_wins(strict: Live) -> None:
    tokens = new_user(strict, "strict@example.com")
    answers = at_once(50, lambda: strict.refresh(tokens))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 49}


def test_simultaneous_logins_keep_the_session_limit(strict: Live) -> None:
    new_user(strict, "limit@example.com")
    logins = at_once(12, lambda: log_in(strict, "limit@example.com"))
    tokens = [login["accessToken"] for login in logins]
    answers = [strict.get("/api/users/info", token).status_code for token in tokens]
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
