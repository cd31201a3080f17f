"""Random histories of clients, tabs, lost and late requests and thieves, compared with a model of docs/tokens.md.

The model knows a session by its answers in the order in which they were given. A holder is a client or a thief with a
store of his own: what he has is the number of an answer.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

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

from tests.live import signup_of

WINDOW = 60  # seconds, the default
SKEW = 5  # seconds that the clock of another machine may be slow
SKEWS = st.sampled_from([0, 0, 0, -SKEW])
ADDRESSES = st.sampled_from(["127.0.0.1", "198.51.100.7", "2001:db8::1"])

# Sends a request (method, path, body, access token, address) and returns the status and the body of the answer.
Service = Callable[..., tuple[int, Any]]


@dataclass
class Answer:
    """A pair of tokens."""

    refresh: str
    access: str
    expires: float  # in the history's seconds


@dataclass(eq=False)
class Session:
    """One session as it should be."""

    user_id: int
    address: str  # of the last rotation
    answers: list[Answer]  # the last one is current
    parent: int = -1
    void: list[int] = field(default_factory=list)  # the most recent range
    is_used: bool = False  # whether an access token of the current answer was let in
    rotated: float = float("-inf")
    lives: bool = True
    holders: list["Holder"] = field(default_factory=list)
    answered_last: "Holder | None" = None

    @property
    def current(self) -> int:
        return len(self.answers) - 1

    def is_recent(self, address: str, moment: float) -> bool:
        return round(moment - self.rotated, 3) <= WINDOW and address == self.address


@dataclass(eq=False)
class Holder:
    """A client with its tabs, or a thief."""

    session: Session
    has: int  # the answer in the store
    address: str
    had: int = 0  # the answer before it, which a second tab may have read
    is_alone: bool = False  # whether no other holder has the same answer
    late: list[tuple[int, float]] = field(default_factory=list)  # requests given up: answer, time

    def must_be_found(self, moment: float) -> bool:
        """Whether two holders were answered, the other one last, and the window cannot hide it."""
        last = self.session.answered_last
        is_second = self.is_alone and last is not None and last is not self
        return is_second and not self.session.is_recent(self.address, moment)


class Histories(RuleBasedStateMachine):
    """What clients and thieves can do. A test sets ``send`` and ``clock``."""

    send: Service
    clock: Any
    names = itertools.count()

    holders = Bundle("holders")

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.sessions: list[Session] = []

    def ask(
        self, method: str, path: str, body: object = None, access: str = "", address: str = ""
    ) -> tuple[int, Any]:
        status, answer = type(self).send(method, path, body, access, address or "127.0.0.1")
        assert status < 500
        return status, answer

    @contextmanager
    def on_machine(self, skew: int) -> Iterator[float]:
        """A machine whose clock is slow; its time."""
        self.clock.shift(timedelta(seconds=skew))
        yield self.seconds + skew
        self.clock.shift(timedelta(seconds=-skew))

    @initialize()
    def two_users_sign_up(self) -> None:
        self.users = [signup_of(f"h{next(self.names)}@example.com") for _ in range(2)]
        for user in self.users:
            assert self.ask("POST", "/api/users/signup", user)[0] == 201

    @precondition(lambda self: sum(session.lives for session in self.sessions) < 3)
    @rule(target=holders, user=st.integers(0, 1), address=ADDRESSES)
    def log_in(self, user: int, address: str) -> Holder:
        status, body = self.ask("POST", "/api/users/login", self.users[user], address=address)
        assert status == 200
        session = Session(body["userId"], address, [self.answer(body, self.seconds)])
        self.sessions.append(session)
        session.holders.append(Holder(session, 0, address))
        return session.holders[0]

    @rule(target=holders, victim=holders, back=st.integers(0, 2), address=ADDRESSES)
    def steal(self, victim: Holder, back: int, address: str) -> Holder:
        """A thief copies one of the session's answers."""
        has = max(0, victim.session.current - back)
        thief = Holder(victim.session, has, address, had=has)
        victim.session.holders.append(thief)
        for holder in victim.session.holders:
            holder.is_alone = False
        return thief

    @rule(target=holders, victim=holders, address=ADDRESSES, uses=st.booleans())
    def refresh_before_the_victim(self, victim: Holder, address: str, uses: bool) -> Any:
        thief: Any = self.steal(victim=victim, back=0, address=address)
        self.refresh(holder=thief, is_lost=False, skew=0)
        if uses:
            self.use(holder=thief, skew=0)
        self.wait(seconds=WINDOW + 1)
        self.refresh(holder=victim, is_lost=False, skew=0)
        return thief

    @rule(holder=holders, address=ADDRESSES)
    def move(self, holder: Holder, address: str) -> None:
        """The holder goes to another network, with no request under way."""
        holder.address = address
        holder.late.clear()

    @rule(holder=holders, is_lost=st.booleans(), skew=SKEWS)
    def refresh(self, holder: Holder, is_lost: bool, skew: int) -> None:
        with self.on_machine(skew) as moment:
            must_be_found = holder.must_be_found(moment)
            self.send_refresh(holder, holder.has, is_lost, moment)
        if must_be_found:
            assert not holder.session.lives

    @rule(holder=holders)
    def refresh_in_a_second_tab(self, holder: Holder) -> None:
        """The tab read the store before the first tab had its answer."""
        if holder.session.is_recent(holder.address, self.seconds):
            self.send_refresh(holder, holder.had, True, self.seconds)

    @rule(holder=holders)
    def give_a_request_up(self, holder: Holder) -> None:
        """The network keeps the request and delivers it later."""
        holder.late.append((holder.has, self.seconds))

    @rule(holder=holders, which=st.integers(0, 3))
    def deliver_a_late_request(self, holder: Holder, which: int) -> None:
        if holder.late:
            has, sent = holder.late.pop(which % len(holder.late))
            if self.seconds - sent <= WINDOW - SKEW:
                self.send_refresh(holder, has, True, self.seconds)

    def send_refresh(self, holder: Holder, index: int, is_lost: bool, moment: float) -> None:
        session = holder.session
        token = {"refreshToken": session.answers[index].refresh, "userId": session.user_id}
        status, body = self.ask("POST", "/api/users/refresh_token", token, address=holder.address)
        is_recent = session.is_recent(holder.address, moment)
        if not session.lives:
            assert status == 400
        elif index == session.current:
            self.rotate(holder, body, is_lost, moment, parent=index)
        elif is_recent and index == session.parent:
            assert body["refreshToken"] == session.answers[-1].refresh
            if not is_lost:
                holder.has = holder.had = session.current
                for each in session.holders:
                    each.is_alone = each.is_alone and each.has != session.current
        elif is_recent:
            assert status == 400
        elif index == session.parent and not session.is_used:
            if not session.void or session.void[-1] != session.current - 1:
                session.void = []
            session.void.append(session.current)
            self.rotate(holder, body, is_lost, moment, parent=index)
        else:
            assert status == 400
            self.end(session)

    def rotate(
        self, holder: Holder, body: Any, is_lost: bool, moment: float, parent: int
    ) -> None:
        session = holder.session
        session.answers.append(self.answer(body, moment))
        session.parent, session.is_used = parent, False
        session.rotated, session.address = moment, holder.address
        if not is_lost:
            holder.had, holder.has, holder.is_alone = holder.has, session.current, True
            session.answered_last = holder

    def answer(self, body: Any, moment: float) -> Answer:
        return Answer(body["refreshToken"], body["accessToken"], int(moment) + 900)

    def end(self, session: Session) -> None:
        """Only a session with two holders may end, whatever is lost, repeated or late."""
        assert len(session.holders) > 1
        session.lives = False

    @rule(holder=holders, skew=SKEWS)
    def use(self, holder: Holder, skew: int) -> None:
        session, answer = holder.session, holder.session.answers[holder.has]
        if self.seconds >= answer.expires:
            return
        with self.on_machine(skew) as moment:
            must_be_found = holder.must_be_found(moment)
            status, body = self.ask("GET", "/api/users/info", access=answer.access)
        if not session.lives:
            assert body["errorCode"] == "A04"
        elif holder.has in session.void:
            assert body["errorCode"] == "A04"
            self.end(session)
        elif session.void and holder.has < session.void[0] - 1:
            assert body["errorCode"] == "A02"
        else:
            assert status == 200
            assert not must_be_found
            session.is_used = session.is_used or holder.has == session.current

    @rule(holder=holders, position=st.integers(0, 69), change=st.sampled_from("AZaz09_-"))
    def forge(self, holder: Holder, position: int, change: str) -> None:
        """A party that holds no token of the session cannot end it."""
        token = holder.session.answers[-1].refresh
        forged = token[:position] + change + token[position + 1 :]
        if forged not in [answer.refresh for answer in holder.session.answers]:
            body = {"refreshToken": forged}
            assert self.ask("POST", "/api/users/refresh_token", body)[0] == 400
            assert self.ask("POST", "/api/users/logout", body)[0] == 204

    @rule(holder=holders, other=holders)
    def name_another_user(self, holder: Holder, other: Holder) -> None:
        if holder.session.user_id != other.session.user_id:
            token = holder.session.answers[-1].refresh
            body = {"refreshToken": token, "userId": other.session.user_id}
            assert self.ask("POST", "/api/users/refresh_token", body)[0] == 400

    @rule(holder=holders, seldom=st.integers(0, 7))
    def log_out(self, holder: Holder, seldom: int) -> None:
        if not seldom:
            body = {"refreshToken": holder.session.answers[holder.has].refresh}
            assert self.ask("POST", "/api/users/logout", body)[0] == 204
            holder.session.lives = False

    @rule(seconds=st.sampled_from([0.5, 20, 54, WINDOW, WINDOW + 0.001, 120, 7200]))
    def wait(self, seconds: float) -> None:
        self.clock.shift(timedelta(seconds=seconds))
        self.seconds = round(self.seconds + seconds, 3)

    @invariant()
    def an_ended_session_lets_no_token_in(self) -> None:
        for session in self.sessions[-2:]:
            if not session.lives:
                access = session.answers[-1].access
                assert self.ask("GET", "/api/users/info", access=access)[0] == 401


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
