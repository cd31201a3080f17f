"""Random histories of devices, tabs, lost answers and thieves, held against a simple model.

The model knows a session by its answers in the order in which they were given, and its holders by the answer that
each has in a store of its own.
"""

import itertools
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import jwt
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

from tasks_api.auth.refresh_tokens import decode
from tests.live import PASSWORD

WINDOW = 10  # seconds, the default
REMEMBERED = 62  # void answers
SKEWS = st.sampled_from([0, 0, 0, -5])  # of the clock of the machine that answers, in seconds


# A way to send requests (method, path, body, access token); answers a status and a body.
Service = Callable[..., tuple[int, Any]]


@dataclass
class Answer:
    """A pair of tokens."""

    refresh: str
    access: str
    expires: float  # the machine's seconds
    is_void: bool = False


@dataclass(eq=False)
class Model:
    """One session as it should be."""

    user: int
    answers: list[Answer]  # oldest first; the last one is current
    parent: int = -1
    is_used: bool = False  # the current answer's access token was let in
    rotated: float = float("-inf")
    alive: bool = True
    holders: list["Holder"] = field(default_factory=list)
    last: "Holder | None" = None  # the holder who was answered last

    @property
    def current(self) -> int:
        return len(self.answers) - 1


@dataclass(eq=False)
class Holder:
    """Somebody with a store: a client with its tabs, or a thief."""

    session: Model
    has: int  # the answer in the store
    had: int  # the one before it, which a second tab may have read
    is_answered: bool = False  # was given an answer that nobody else has

    def is_second(self, moment: float) -> bool:
        """Whether both of two holders were answered, the other one last, and no window hides it."""
        return (
            self.is_answered
            and self.session.last is not self
            and round(moment - self.session.rotated, 3) > WINDOW
        )


class Histories(RuleBasedStateMachine):
    """What clients and thieves can do; ``send`` and ``clock`` are set by the tests."""

    send: Service
    clock: Any
    names = itertools.count()

    holders = Bundle("holders")

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.models: list[Model] = []
        self.statuses: set[int] = set()

    def ask(self, method: str, path: str, body: object = None, access: str = "") -> tuple[int, Any]:
        status, answer = type(self).send(method, path, body, access)
        self.statuses.add(status)
        return status, answer

    @contextmanager
    def at(self, skew: int) -> Any:
        """A machine whose clock differs."""
        if self.clock:
            self.clock.shift(timedelta(seconds=skew))
        else:
            skew = 0
        yield self.seconds + skew
        if self.clock:
            self.clock.shift(timedelta(seconds=-skew))

    @initialize()
    def two_people_sign_up(self) -> None:
        self.emails = [f"h{next(self.names)}@example.com" for _ in range(2)]
        names = {"firstName": "H", "lastName": "H"}
        for email in self.emails:
            body = {"email": email, "password": PASSWORD, "confirmPassword": PASSWORD}
            assert self.ask("POST", "/api/users/signup", body | names)[0] == 201

    def answer(self, body: Any, moment: float) -> Answer:
        return Answer(body["refreshToken"], body["accessToken"], int(moment) + 900)

    @precondition(lambda self: sum(model.alive for model in self.models) < 3)
    @rule(target=holders, user=st.integers(0, 1))
    def log_in_on_a_device(self, user: int) -> Holder:
        credentials = {"email": self.emails[user], "password": PASSWORD}
        status, body = self.ask("POST", "/api/users/login", credentials)
        assert status == 200
        model = Model(user, [self.answer(body, self.seconds)])
        self.models.append(model)
        model.holders.append(Holder(model, 0, 0))
        return model.holders[0]

    @rule(target=holders, victim=holders, back=st.integers(0, 2))
    def steal(self, victim: Holder, back: int) -> Holder:
        """Any pair of the session, at any moment, into a store of the thief's own."""
        has = max(0, victim.session.current - back)
        thief = Holder(victim.session, has, has)
        victim.session.holders.append(thief)
        for holder in victim.session.holders:
            holder.is_answered = False  # since there is one more
        return thief

    @precondition(lambda self: self.clock)
    @rule(target=holders, victim=holders, uses=st.booleans())
    def be_faster_than_the_victim(self, victim: Holder, uses: bool) -> Any:
        """A thief refreshes first, and may lie low; the victim comes a minute later."""
        thief: Any = self.steal(victim=victim, back=0)
        self.refresh(holder=thief, lost=False, skew=0)
        if uses:
            self.use(holder=thief, skew=0)
        self.wait(seconds=60)
        self.refresh(holder=victim, lost=False, skew=0)
        return thief

    @rule(holder=holders, lost=st.booleans(), skew=SKEWS)
    def refresh(self, holder: Holder, lost: bool, skew: int) -> None:
        """With the token in the store; the answer may be lost, or come when it is not waited for any more."""
        with self.at(skew) as moment:
            is_second = holder.is_second(moment)
            self.send_refresh(holder, holder.has, lost, moment)
        if is_second:
            assert not holder.session.alive

    @rule(holder=holders)
    def refresh_in_a_second_tab(self, holder: Holder) -> None:
        """It read the store before the first tab had its answer."""
        session = holder.session
        if holder.had == session.parent and self.seconds - session.rotated <= WINDOW:
            self.send_refresh(holder, holder.had, False, self.seconds)

    def send_refresh(self, holder: Holder, index: int, lost: bool, moment: float) -> None:
        session = holder.session
        token = session.answers[index].refresh
        status, body = self.ask("POST", "/api/users/refresh_token", {"refreshToken": token})
        age = round(max(0.0, moment - session.rotated), 3)
        void_in_a_row = session.current - 1 - session.parent
        if not session.alive:
            assert status == 400
        elif index == session.current:
            self.give(holder, body, lost, moment, parent=index)
        elif index == session.parent and age <= WINDOW:
            assert status == 200
            assert body["refreshToken"] == session.answers[-1].refresh
            if not lost:
                holder.has = holder.had = session.current
                for each in session.holders:  # who have it too: they may be one client's tabs
                    each.is_answered = each.is_answered and each.has != session.current
        elif index == session.parent and not session.is_used and void_in_a_row < REMEMBERED:
            session.answers[-1].is_void = True
            self.give(holder, body, lost, moment, parent=index)
        else:
            assert status == 400
            self.end(session)

    def give(self, holder: Holder, body: Any, lost: bool, moment: float, parent: int) -> None:
        """The holder has a new answer, if it arrived; one refresh token at a time rotates."""
        session = holder.session
        assert body["refreshToken"]
        session.answers.append(self.answer(body, moment))
        assert decode(body["refreshToken"]).counter == session.current
        session.parent, session.is_used, session.rotated = parent, False, moment
        if not lost:
            holder.had, holder.has, holder.is_answered = holder.has, session.current, True
            session.last = holder

    def end(self, session: Model) -> None:
        """Nobody who is alone loses a session, whatever is lost, repeated or late."""
        assert len(session.holders) > 1
        session.alive = False

    @rule(holder=holders, skew=SKEWS)
    def use(self, holder: Holder, skew: int) -> None:
        session = holder.session
        answer = session.answers[holder.has]
        if self.seconds >= answer.expires:
            return
        with self.at(skew) as moment:
            is_second = holder.is_second(moment)
            status, _ = self.ask("GET", "/api/users/info", access=answer.access)
        if session.alive and answer.is_void:
            self.end(session)
        assert status == (200 if session.alive else 401)
        if session.alive and holder.has == session.current:
            session.is_used = True
        if is_second:
            assert not session.alive

    @rule(holder=holders, position=st.integers(0, 69), change=st.sampled_from("AZaz09_-"))
    def forge(self, holder: Holder, position: int, change: str) -> None:
        """Nobody who does not hold a token can end its session."""
        token = holder.session.answers[-1].refresh
        forged = token[:position] + change + token[position + 1 :]
        if forged not in [answer.refresh for answer in holder.session.answers]:
            body = {"refreshToken": forged}
            assert self.ask("POST", "/api/users/refresh_token", body)[0] == 400
            assert self.ask("POST", "/api/users/logout", body)[0] == 204

    @rule(holder=holders, other=holders)
    def name_another_user(self, holder: Holder, other: Holder) -> None:
        if holder.session.user != other.session.user:
            access = jwt.decode(
                other.session.answers[-1].access, options={"verify_signature": False}
            )
            body = {
                "refreshToken": holder.session.answers[-1].refresh,
                "userId": int(access["sub"]),
            }
            assert self.ask("POST", "/api/users/refresh_token", body)[0] == 400

    @rule(holder=holders, seldom=st.integers(0, 7))
    def log_out(self, holder: Holder, seldom: int) -> None:
        if not seldom:
            body = {"refreshToken": holder.session.answers[holder.has].refresh}
            assert self.ask("POST", "/api/users/logout", body)[0] == 204
            holder.session.alive = False

    @rule(holder=holders, seldom=st.integers(0, 7))
    def sign_out_everywhere(self, holder: Holder, seldom: int) -> None:
        answer, is_alive = holder.session.answers[holder.has], holder.session.alive
        if seldom or self.seconds >= answer.expires or answer.is_void:
            return
        status, _ = self.ask("DELETE", "/api/users/sessions", access=answer.access)
        assert status == (204 if is_alive else 401)
        for model in self.models:
            model.alive = model.alive and not (is_alive and model.user == holder.session.user)

    @precondition(lambda self: self.clock)
    @rule(seconds=st.sampled_from([0.5, 3, WINDOW, WINDOW + 0.001, 60, 60, 7200]))
    def wait(self, seconds: float) -> None:
        self.clock.shift(timedelta(seconds=seconds))
        self.seconds = round(self.seconds + seconds, 3)

    @invariant()
    def what_is_over_gives_nothing_to_anybody(self) -> None:
        for model in self.models[-2:]:
            for answer in model.answers[-2:]:
                if not model.alive:
                    assert self.ask("GET", "/api/users/info", access=answer.access)[0] == 401

    @invariant()
    def nothing_is_a_failure_of_the_service(self) -> None:
        assert max(self.statuses, default=0) < 500


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
