"""People for the soak: each with devices, tasks and a ledger of what the service has acknowledged."""

import random
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.live import bearer

MOST_DEVICES = 4
MOST_TASKS = 40
LOST_ANSWERS = 0.2  # of refreshes


class UnansweredError(Exception):
    """Nobody can tell whether it happened."""


@dataclass(eq=False)
class Device:
    """Where somebody is signed in."""

    access: str
    refresh: str


@dataclass
class Ledger:
    """What the service has acknowledged to one account."""

    # Of tasks, by id; several, if a change was not answered.
    names: dict[int, set[str]] = field(default_factory=dict)
    perhaps_added: set[str] = field(default_factory=set)
    perhaps_removed: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)

    def differences(self, listed: dict[int, str]) -> list[str]:
        """What ``listed`` contradicts; what it settles is noted."""
        found = [f"task {task} was removed and is back" for task in self.removed & listed.keys()]
        for task, name in listed.items():
            if task not in self.names and name in self.perhaps_added:
                self.names[task] = {name}
                self.perhaps_added.remove(name)
            if name not in self.names.get(task, ()):
                found.append(f"task {task} is called {name}")
            self.names[task] = {name}
            self.perhaps_removed.discard(task)
        for task in self.names.keys() - listed.keys():
            del self.names[task]
            if task not in self.perhaps_removed:
                found.append(f"task {task} is lost")
        return found


class Person:
    """Somebody with devices, tasks and a ledger, who does one thing at a time."""

    def __init__(self, url: str, number: int) -> None:
        self.url = url
        self.random = random.Random(number)  # noqa: S311
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.loses = LOST_ANSWERS
        self.begin_anew()

    def begin_anew(self) -> None:
        """With an account that is to be made."""
        self.email = ""
        self.passwords = [uuid.uuid4().hex]  # several, if a change was not answered
        self.is_perhaps_deleted = False
        self.devices: list[Device] = []
        self.ledger = Ledger()

    def act(self) -> None:
        """Do something."""
        with suppress(UnansweredError):
            if not self.email:
                self.sign_up()
            elif not self.devices:
                self.log_in()
            else:
                acts = {
                    self.look: 20,
                    self.add: 25,
                    self.change: 15,
                    self.remove: 10,
                    self.log_in: 1,
                    self.log_out: 1,
                    self.change_password: 0.1,
                    self.delete_account: 0.1,
                }
                (act,) = self.random.choices(list(acts), list(acts.values()))
                act()

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> Any:
        """Send a request: the answer."""
        try:
            answer = requests.request(
                method, self.url + path, json=body, headers=bearer(token), timeout=60
            )
        except requests.RequestException:
            self.counts["without an answer"] += 1
            raise UnansweredError from None
        self.counts["requests"] += 1
        if answer.status_code == 503:
            self.counts["answered 503"] += 1
            raise UnansweredError
        return answer

    def insist(self, answer: Any, statuses: set[int], what: str) -> None:
        """Note what should not have been answered, and do not go on from there."""
        if answer.status_code not in statuses:
            request = answer.request
            said = f"{request.method} {request.path_url}: {answer.status_code} {answer.text[:200]}"
            self.wrong.append(f"{what}: {said}")
            raise UnansweredError

    def call(
        self, method: str, path: str, body: object = None, device: Device | None = None
    ) -> Any:
        """As a client does it, from one of the devices: refresh when the access token has expired."""
        device = device or self.random.choice(self.devices)
        while True:
            answer = self.ask(method, path, body, device.access)
            if answer.status_code != 401:
                return answer
            if answer.json()["errorCode"] != "A02":
                self.insist_on_life(device, answer)
            self.refresh(device)

    def insist_on_life(self, device: Device, answer: Any) -> None:
        """Nobody has signed this device out."""
        if answer.status_code != 200 and device in self.devices:
            self.devices.remove(device)
        self.insist(answer, {200}, "a session ended that should live")

    def refresh(self, device: Device) -> None:
        """Get the next pair, unless the answer is lost on its way."""
        answer = self.ask("POST", "/api/users/refresh_token", {"refreshToken": device.refresh})
        self.insist_on_life(device, answer)
        self.counts["rotations"] += 1
        if self.random.random() < self.loses:
            self.counts["answers lost"] += 1
            raise UnansweredError  # asked for again when this device is used next
        renewed = opened(answer)
        device.access = renewed.access
        device.refresh = renewed.refresh

    def look(self, device: Device | None = None) -> None:
        """List the tasks and compare."""
        answer = self.call("GET", "/api/tasks", device=device)
        self.insist(answer, {200}, "list")
        listed = {task["id"]: task["name"] for task in answer.json()}
        self.wrong += self.ledger.differences(listed)
        self.counts["lists compared"] += 1

    def finish(self) -> None:
        """Look on each device, delete the account; nothing gets lost any more."""
        self.loses = 0.0
        try:
            if not self.email:
                self.sign_up()
            if not self.devices:
                self.log_in()
            for device in list(self.devices):
                self.look(device)
            if self.devices:
                self.delete_account()
        except UnansweredError:
            self.wrong.append(f"{self.email} was not answered when all was well")

    def add(self) -> None:
        """Add a task."""
        if len(self.ledger.names) >= MOST_TASKS:
            self.remove()
            return
        name = uuid.uuid4().hex
        self.ledger.perhaps_added.add(name)
        answer = self.call("POST", "/api/tasks", {"name": name})
        self.insist(answer, {201}, "add")
        self.ledger.names[answer.json()["id"]] = {name}
        self.ledger.perhaps_added.remove(name)
        self.counts["writes acknowledged"] += 1

    def change(self) -> None:
        """Give a task another name."""
        if self.ledger.names:
            task, name = self.random.choice(list(self.ledger.names)), uuid.uuid4().hex
            self.ledger.names[task].add(name)
            answer = self.call("PATCH", f"/api/tasks/{task}", {"name": name})
            if answer.status_code == 200:
                self.ledger.names[task] = {name}
                self.counts["writes acknowledged"] += 1
            elif task not in self.ledger.perhaps_removed:
                self.insist(answer, {200}, "change")

    def remove(self) -> None:
        """Delete a task."""
        if self.ledger.names:
            task = self.random.choice(list(self.ledger.names))
            statuses = {200, 404} if task in self.ledger.perhaps_removed else {200}
            self.ledger.perhaps_removed.add(task)
            answer = self.call("DELETE", f"/api/tasks/{task}")
            self.insist(answer, statuses, "remove")
            del self.ledger.names[task]
            self.ledger.removed.add(task)
            self.counts["writes acknowledged"] += 1

    def sign_up(self) -> None:
        """Make an account."""
        email = f"{uuid.uuid4().hex}@example.com"
        password = self.passwords[0]
        names = {"firstName": "Soak", "lastName": "Test"}
        body = {"email": email, "password": password, "confirmPassword": password} | names
        self.insist(self.ask("POST", "/api/users/signup", body), {201}, "signup")
        self.email = email

    def log_in(self) -> None:
        """Sign in on one more device, or on the first again after something was not answered."""
        if len(self.devices) >= MOST_DEVICES:
            self.log_out()
            return
        for password in self.passwords:
            body = {"email": self.email, "password": password}
            answer = self.ask("POST", "/api/users/login", body)
            if answer.status_code == 200:
                self.counts["logins"] += 1
                self.passwords = [password]
                self.is_perhaps_deleted = False
                self.devices.append(opened(answer))
                return
            self.insist(answer, {401}, "login")
        if not self.is_perhaps_deleted:
            self.wrong.append(f"the account of {self.email} is lost")
        self.begin_anew()

    def log_out(self) -> None:
        """Sign one device out."""
        device = self.devices.pop(self.random.randrange(len(self.devices)))
        answer = self.ask("POST", "/api/users/logout", {"refreshToken": device.refresh})
        self.insist(answer, {204}, "logout")
        self.insist_on_the_end_of([device])

    def insist_on_the_end_of(self, devices: list[Device]) -> None:
        """Come back with their tokens."""
        for device in devices:
            answer = self.ask("GET", "/api/tasks", token=device.access)
            self.insist(answer, {401}, "an access token lives on")
            body = {"refreshToken": device.refresh}
            answer = self.ask("POST", "/api/users/refresh_token", body)
            self.insist(answer, {400}, "a refresh token lives on")
            self.counts["ended sessions tried"] += 1

    def change_password(self) -> None:
        """Change the password, which signs all devices out but this one."""
        old = self.passwords[0]
        new = uuid.uuid4().hex
        body = {"currentPassword": old, "newPassword": new, "confirmPassword": new}
        devices = self.devices
        self.passwords = [new, old]
        self.devices = []  # whether they still are, nobody can tell without an answer
        answer = self.call("PUT", "/api/users/password", body, self.random.choice(devices))
        self.insist(answer, {200}, "password change")
        self.passwords = [new]
        self.devices = [opened(answer)]
        self.counts["password changes"] += 1
        self.insist_on_the_end_of(devices)

    def delete_account(self) -> None:
        """Delete the account, and begin with another one."""
        password = self.passwords[0]
        devices = self.devices
        self.is_perhaps_deleted = True
        self.devices = []
        body = {"currentPassword": password}
        answer = self.call("POST", "/api/users/delete", body, self.random.choice(devices))
        self.insist(answer, {204}, "deletion")
        self.counts["accounts deleted"] += 1
        self.insist_on_the_end_of(devices)
        known = {"email": self.email, "password": password}
        self.insist(self.ask("POST", "/api/users/login", known), {401}, "a deleted account")
        self.begin_anew()


def opened(answer: Any) -> Device:
    """The device that a login's answer signs in."""
    tokens = answer.json()
    return Device(tokens["accessToken"], tokens["refreshToken"])
