"""People of the soak. Each has devices, tasks, and a ledger of what the service has acknowledged."""

import random
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.live import bearer, signup_of

MAX_DEVICES = 4
MAX_TASKS = 40
LOST_ANSWERS = 0.2  # the share of refreshes


class UnansweredError(Exception):
    """The client does not know whether its request took effect."""


@dataclass(eq=False)
class Device:
    """A device that is signed in."""

    access: str
    refresh: str


@dataclass
class Ledger:
    """What the service has acknowledged to one account."""

    # By task id; several names if a change was not answered.
    names: dict[int, set[str]] = field(default_factory=dict)
    perhaps_added: set[str] = field(default_factory=set)
    perhaps_removed: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)

    def differences(self, listed: dict[int, str]) -> list[str]:
        """Compare with the list of the service, and settle what was not answered."""
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
    """A user of the service, who does one thing at a time."""

    def __init__(self, url: str, number: int) -> None:
        self.url = url
        self.random = random.Random(number)  # noqa: S311
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.lost_answers = LOST_ANSWERS
        self.start_again()

    def start_again(self) -> None:
        """Forget the account. The next act makes another one."""
        self.email = ""
        self.passwords = [uuid.uuid4().hex]  # two if a change was not answered
        self.is_perhaps_deleted = False
        self.devices: list[Device] = []
        self.ledger = Ledger()

    def act(self) -> None:
        """Do something at random."""
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
        with suppress(UnansweredError):
            if not self.email:
                self.sign_up()
            elif not self.devices:
                self.log_in()
            else:
                act()

    def finish(self) -> None:
        """Look on each device and delete the account. No answer gets lost any more."""
        self.lost_answers = 0.0
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

    # --- requests ----------------------------------------------------------------------------------------

    def send(self, method: str, path: str, body: object = None, token: str = "") -> Any:
        """Send a request and return its answer."""
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

    def expect(self, answer: Any, status: int, what: str) -> None:
        """Note an answer that is wrong, and break off."""
        if answer.status_code != status:
            request = answer.request
            said = (
                f"{request.method} {request.path_url}: {answer.status_code} {answer.text[:200]}"
            )
            self.wrong.append(f"{what}: {said}")
            raise UnansweredError

    def expect_life(self, device: Device, answer: Any) -> None:
        """Note that a session ended which nobody ended."""
        if answer.status_code != 200 and device in self.devices:
            self.devices.remove(device)
        self.expect(answer, 200, "a session ended that should live")

    def expect_end(self, devices: list[Device]) -> None:
        """Try the tokens of devices that were signed out."""
        for device in devices:
            answer = self.send("GET", "/api/tasks", token=device.access)
            self.expect(answer, 401, "an access token lives on")
            body = {"refreshToken": device.refresh}
            answer = self.send("POST", "/api/users/refresh_token", body)
            self.expect(answer, 400, "a refresh token lives on")
            self.counts["ended sessions tried"] += 1

    def call(
        self, method: str, path: str, body: object = None, device: Device | None = None
    ) -> Any:
        """Send a request from a device, and refresh when its access token has expired."""
        device = device or self.random.choice(self.devices)
        while True:
            answer = self.send(method, path, body, device.access)
            if answer.status_code != 401:
                return answer
            if answer.json()["errorCode"] != "A02":
                self.expect_life(device, answer)
            self.refresh(device)

    def refresh(self, device: Device) -> None:
        """Exchange the device's refresh token. The answer may be lost; then the next call asks again."""
        body = {"refreshToken": device.refresh}
        answer = self.send("POST", "/api/users/refresh_token", body)
        self.expect_life(device, answer)
        self.counts["rotations"] += 1
        if self.random.random() < self.lost_answers:
            self.counts["answers lost"] += 1
            raise UnansweredError
        renewed = opened(answer)
        device.access, device.refresh = renewed.access, renewed.refresh

    # --- tasks -------------------------------------------------------------------------------------------

    def look(self, device: Device | None = None) -> None:
        """Compare the tasks with the ledger."""
        answer = self.call("GET", "/api/tasks", device=device)
        self.expect(answer, 200, "list")
        listed = {task["id"]: task["name"] for task in answer.json()}
        self.wrong += self.ledger.differences(listed)
        self.counts["lists compared"] += 1

    def add(self) -> None:
        """Add a task."""
        if len(self.ledger.names) >= MAX_TASKS:
            self.remove()
            return
        name = uuid.uuid4().hex
        self.ledger.perhaps_added.add(name)
        answer = self.call("POST", "/api/tasks", {"name": name})
        self.expect(answer, 201, "add")
        self.ledger.names[answer.json()["id"]] = {name}
        self.ledger.perhaps_added.remove(name)
        self.counts["writes acknowledged"] += 1

    def change(self) -> None:
        """Rename a task."""
        if not self.ledger.names:
            return
        task, name = self.random.choice(list(self.ledger.names)), uuid.uuid4().hex
        self.ledger.names[task].add(name)
        answer = self.call("PATCH", f"/api/tasks/{task}", {"name": name})
        if answer.status_code == 404 and task in self.ledger.perhaps_removed:
            return
        self.expect(answer, 200, "change")
        self.ledger.names[task] = {name}
        self.counts["writes acknowledged"] += 1

    def remove(self) -> None:
        """Delete a task."""
        if not self.ledger.names:
            return
        task = self.random.choice(list(self.ledger.names))
        was_perhaps_removed = task in self.ledger.perhaps_removed
        self.ledger.perhaps_removed.add(task)
        answer = self.call("DELETE", f"/api/tasks/{task}")
        if not (answer.status_code == 404 and was_perhaps_removed):
            self.expect(answer, 200, "remove")
        del self.ledger.names[task]
        self.ledger.removed.add(task)
        self.counts["writes acknowledged"] += 1

    # --- account -----------------------------------------------------------------------------------------

    def sign_up(self) -> None:
        """Make an account."""
        email = f"{uuid.uuid4().hex}@example.com"
        body = signup_of(email, self.passwords[0])
        self.expect(self.send("POST", "/api/users/signup", body), 201, "signup")
        self.email = email

    def log_in(self) -> None:
        """Sign in on one more device."""
        if len(self.devices) >= MAX_DEVICES:
            self.log_out()
            return
        for password in self.passwords:
            body = {"email": self.email, "password": password}
            answer = self.send("POST", "/api/users/login", body)
            if answer.status_code == 200:
                self.counts["logins"] += 1
                self.passwords = [password]
                self.is_perhaps_deleted = False
                self.devices.append(opened(answer))
                return
            self.expect(answer, 401, "login")
        if not self.is_perhaps_deleted:
            self.wrong.append(f"the account of {self.email} is lost")
        self.start_again()

    def log_out(self) -> None:
        """Sign one device out."""
        device = self.devices.pop(self.random.randrange(len(self.devices)))
        answer = self.send("POST", "/api/users/logout", {"refreshToken": device.refresh})
        self.expect(answer, 204, "logout")
        self.expect_end([device])

    def change_password(self) -> None:
        """Change the password, which signs out all devices but this one."""
        old, new = self.passwords[0], uuid.uuid4().hex
        body = {"currentPassword": old, "newPassword": new, "confirmPassword": new}
        devices, self.devices = (
            self.devices,
            [],
        )  # without an answer they may be signed out or not
        self.passwords = [new, old]
        answer = self.call("PUT", "/api/users/password", body, self.random.choice(devices))
        self.expect(answer, 200, "password change")
        self.passwords = [new]
        self.devices = [opened(answer)]
        self.counts["password changes"] += 1
        self.expect_end(devices)

    def delete_account(self) -> None:
        """Delete the account."""
        known = {"email": self.email, "password": self.passwords[0]}
        devices, self.devices = self.devices, []
        self.is_perhaps_deleted = True
        body = {"currentPassword": known["password"]}
        answer = self.call("POST", "/api/users/delete", body, self.random.choice(devices))
        self.expect(answer, 204, "deletion")
        self.counts["accounts deleted"] += 1
        self.expect_end(devices)
        self.expect(self.send("POST", "/api/users/login", known), 401, "a deleted account")
        self.start_again()


def opened(answer: Any) -> Device:
    """Return the device that an answer signs in."""
    tokens = answer.json()
    return Device(tokens["accessToken"], tokens["refreshToken"])
