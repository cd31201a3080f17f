"""Random histories of devices, tabs, lost answers and thieves, held against a simple model.

The model knows a session by its refresh tokens in the order in which they were handed out, and the moment of
the last rotation. In process hypothesis plays thousands of steps with a clock of its own; a shorter run goes
against several gunicorn workers, whose clock is the real one.
"""

import itertools
import os
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any, Protocol

import jwt
import pytest
import requests
import time_machine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tasks_api.auth import passwords
from tasks_api.auth.refresh_tokens import decode
from tests.conftest import MakeApp
from tests.live import PASSWORD, Live

WINDOW = 10  # seconds, the default
START = "2026-05-01T12:00:00Z"


class Service(Protocol):
    """A way to send requests; answers a status and a body."""

    def __call__(
        self, method: str, path: str, body: object = None, access: str = ""
    ) -> tuple[int, Any]: ...


@dataclass(eq=False)
class Model:
    """One session as it should be."""

    user: int
    tokens: list[str]  # refresh tokens, oldest first; the last one is current
    access: list[str] = field(default_factory=list)
    rotated: float = float("-inf")  # the machine's seconds
    alive: bool = True


class Histories(RuleBasedStateMachine):
    """What clients and thieves can do; ``send`` and ``clock`` are set by the tests."""

    send: Service
    clock: Any
    names = itertools.count()

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.models: list[Model] = []
        self.statuses: set[int] = set()

    def ask(self, method: str, path: str, body: object = None, access: str = "") -> tuple[int, Any]:
        status, answer = type(self).send(method, path, body, access)
        self.statuses.add(status)
        return status, answer

    @initialize()
    def two_people_sign_up(self) -> None:
        self.emails = [f"h{next(self.names)}@example.com" for _ in range(2)]
        for email in self.emails:
            body = {
                "email": email,
                "password": PASSWORD,
                "confirmPassword": PASSWORD,
                "firstName": "H",
                "lastName": "H",
            }
            assert self.ask("POST", "/api/users/signup", body)[0] == 201

    @rule(target=sessions, user=st.integers(0, 1))
    def log_in_on_a_device(self, user: int) -> Model:
        status, body = self.ask(
            "POST", "/api/users/login", {"email": self.emails[user], "password": PASSWORD}
        )
        assert status == 200
        model = Model(user, [body["refreshToken"]], [body["accessToken"]])
        self.models.append(model)
        return model

    @rule(session=sessions, back=st.integers(0, 3), lost=st.booleans())
    def refresh(self, session: Model, back: int, lost: bool) -> None:
        """A client, a second tab (1 back), a client whose answer was lost, or a thief (2 or more back)."""
        back = min(back, len(session.tokens) - 1)
        token = session.tokens[-1 - back]
        status, body = self.ask("POST", "/api/users/refresh_token", {"refreshToken": token})
        if not session.alive:
            assert status == 400
        elif back == 0:
            assert status == 200
            session.tokens.append(body["refreshToken"])
            session.rotated = self.seconds
            assert decode(body["refreshToken"]).counter == len(session.tokens) - 1
        elif back == 1 and self.seconds - session.rotated <= WINDOW:
            assert status == 200
            assert body["refreshToken"] == session.tokens[-1]
        else:
            assert status == 400
            session.alive = False
        if status == 200 and not lost:
            session.access.append(body["accessToken"])

    @rule(session=sessions, position=st.integers(0, 69), change=st.sampled_from("AZaz09_-"))
    def forge(self, session: Model, position: int, change: str) -> None:
        """Nobody who does not hold a token can end its session."""
        token = session.tokens[-1]
        forged = token[:position] + change + token[position + 1 :]
        if forged not in session.tokens:
            assert self.ask("POST", "/api/users/refresh_token", {"refreshToken": forged})[0] == 400
            assert self.ask("POST", "/api/users/logout", {"refreshToken": forged})[0] == 204

    @rule(session=sessions, other=sessions)
    def name_another_user(self, session: Model, other: Model) -> None:
        if session.user != other.user:
            body = {"refreshToken": session.tokens[-1], "userId": user_id(other)}
            assert self.ask("POST", "/api/users/refresh_token", body)[0] == 400

    @rule(session=sessions, back=st.integers(0, 3))
    def log_out_with_any_of_its_tokens(self, session: Model, back: int) -> None:
        token = session.tokens[max(0, len(session.tokens) - 1 - back)]
        assert self.ask("POST", "/api/users/logout", {"refreshToken": token})[0] == 204
        session.alive = False

    @rule(session=sessions)
    def log_out_with_the_access_token(self, session: Model) -> None:
        assert self.ask("POST", "/api/users/logout", access=session.access[-1])[0] == (
            204 if session.alive else 401
        )
        session.alive = False

    @rule(session=sessions)
    def sign_out_everywhere(self, session: Model) -> None:
        status, _ = self.ask("DELETE", "/api/users/sessions", access=session.access[-1])
        assert status == (204 if session.alive else 401)
        if session.alive:
            for model in self.models:
                model.alive = model.alive and model.user != session.user

    @precondition(lambda self: self.clock)
    @rule(seconds=st.sampled_from([0.5, 3, WINDOW, WINDOW + 0.001, 60]))
    def wait(self, seconds: float) -> None:
        self.clock.shift(timedelta(seconds=seconds))
        self.seconds = round(self.seconds + seconds, 3)

    @invariant()
    def ended_means_both_tokens_dead_and_living_means_alive(self) -> None:
        if self.seconds > 600:
            return  # access tokens run out at 900 seconds
        for model in self.models[-3:]:
            status, _ = self.ask("GET", "/api/users/info", access=model.access[-1])
            assert status == (200 if model.alive else 401)

    @invariant()
    def nothing_is_a_failure_of_the_service(self) -> None:
        assert max(self.statuses, default=0) < 500


def user_id(model: Model) -> int:
    return int(jwt.decode(model.access[-1], options={"verify_signature": False})["sub"])


def play(service: Service, clock: Any, histories: int, steps: int) -> None:
    machine = type("Played", (Histories,), {"send": staticmethod(service), "clock": clock})
    profile = settings(
        max_examples=histories,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=profile)


def test_no_history_breaks_a_promise(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a password costs is no part of these promises: thousands of logins shall be cheap.
    monkeypatch.setattr(
        passwords,
        "_derive",
        lambda password, salt, _count: sha256(password.encode() + salt).digest(),
    )
    client = make_app(MAX_SESSIONS="1000", LOG_LEVEL="ERROR").test_client()

    def service(method: str, path: str, body: object = None, access: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {access}"} if access else {}
        answer = client.open(path, method=method, headers=headers, json=body)
        return answer.status_code, answer.get_json(silent=True)

    with time_machine.travel(START, tick=False) as clock:
        play(service, clock, int(os.environ.get("TASKS_TEST_HISTORIES", "100")), 30)


def test_no_history_breaks_a_promise_among_several_workers(live: Live) -> None:
    def service(method: str, path: str, body: object = None, access: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {access}"} if access else {}
        answer = requests.request(method, live.url + path, headers=headers, json=body, timeout=30)
        return answer.status_code, answer.json() if answer.content else None

    play(service, None, 10, 15)
