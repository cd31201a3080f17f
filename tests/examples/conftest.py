"""The clients in examples/, two of each with one store, and a network that fails when a test wants it to."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import pytest
from flask import Flask
from selenium import webdriver
from werkzeug import Request
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.serving import make_server

from tasks_api.config import ROOT
from tests.browser import CHROMIUM, DRIVER, chromium
from tests.conftest import MakeApp, Person, joined
from tests.live import PASSWORD, free_port

NEVER = 20  # seconds, much more than the clients wait
LIST = ("call", "GET", "/api/tasks")


class Network:
    """What is between clients and the service at ``url``; pages come from the origin ``pages``."""

    def __init__(self, service: Flask, url: str, pages: str, store: Path) -> None:
        self.service, self.url, self.pages, self.store = service, url, pages, store
        self.application = SharedDataMiddleware(service, {"/files": str(ROOT)})
        self.sent: list[Request] = []
        self.faults: dict[str, list[str]] = {}  # by path, what happens to the next answers
        self.expired: set[str] = set()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        request = Request(environ)
        if request.method == "OPTIONS":
            return self.application(environ, start)
        environ["wsgi.input"] = BytesIO(request.get_data())
        environ["stored"] = self.store.read_text() if self.store.exists() else ""
        self.sent.append(request)
        if access_of(request) in self.expired:
            environ["HTTP_AUTHORIZATION"] += "x"
        faults = self.faults.get(request.path)
        fault = faults.pop(0) if faults else ""
        if fault == "slow":
            time.sleep(0.5)
        if fault in ("", "slow"):
            return self.application(environ, start)
        self.application(environ, lambda *_: bytes)  # whose answer is lost
        if fault == "never":
            time.sleep(NEVER)
        if fault != "503":
            environ["werkzeug.socket"].shutdown(SHUT_RDWR)
        start("503 Busy", [])
        return []

    def refreshes(self) -> list[bytes]:
        """The refresh tokens that were sent, in cookies and bodies."""
        found = [each for each in self.sent if each.path.endswith("refresh_token")]
        return [each.headers.get("Cookie", "").encode() + each.data for each in found]


def access_of(request: Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


class Process:
    """A client in a process of its own. It gets one command a line."""

    def __init__(self, *command: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)

    def start(self, *command: Any) -> None:
        print(json.dumps(command), file=self.process.stdin, flush=True)

    def outcome(self) -> list[Any]:
        assert self.process.stdout
        return list(json.loads(self.process.stdout.readline()))


class Tab:
    """A client in a page."""

    def __init__(self, driver: webdriver.Chrome, page: str) -> None:
        self.driver = driver
        driver.switch_to.new_window("tab")
        driver.get(page)
        self.window = driver.current_window_handle

    def start(self, *command: Any) -> None:
        self.driver.switch_to.window(self.window)
        self.driver.execute_script("start(arguments[0])", command)

    def outcome(self) -> list[Any]:
        self.driver.switch_to.window(self.window)
        return list(self.driver.execute_async_script("outcome().then(arguments[0])"))


Player = Process | Tab
Pair = tuple[Player, Player]


def at_once(players: Sequence[Player], *command: Any) -> list[list[Any]]:
    """What the players come to: ["ok", value], or an error's name, message and code."""
    for player in players:
        player.start(*command)
    return [player.outcome() for player in players]


def do(player: Player, *command: Any) -> list[Any]:
    return at_once([player], *command)[0]


@pytest.fixture
def network(make_app: MakeApp, tmp_path: Path) -> Iterator[Network]:
    ports = [free_port(), free_port()]  # of the service, and of pages
    url, pages = (f"http://127.0.0.1:{port}" for port in ports)
    network = Network(make_app(CORS_ORIGINS=pages), url, pages, tmp_path / "tokens.json")
    servers = [make_server("127.0.0.1", port, network, threaded=True) for port in ports]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield network
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    if not (CHROMIUM and DRIVER):
        pytest.skip("Chromium and chromedriver are not installed")
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(params=["python", "node", "chromium"])
def pair(
    request: pytest.FixtureRequest, network: Network, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    """Two processes that share a file, or two tabs of one browser."""
    if request.param == "chromium":
        driver = request.getfixturevalue("driver")
        page = f"{network.pages}/files/tests/examples/play.html#{network.url}"
        yield Tab(driver, page), Tab(driver, page)
        driver.delete_all_cookies()
        return
    if not shutil.which("node"):
        pytest.skip("Node.js is not installed")
    programs = {
        "python": (sys.executable, "-m", "tests.examples.play"),
        "node": ("node", "tests/examples/play_in_node.mjs"),
    }
    command = (*programs[request.param], network.url, str(network.store))
    netrc = network.store.with_name("netrc")
    netrc.write_text("machine 127.0.0.1 login anna password not-asked-for")
    monkeypatch.setenv("NETRC", str(netrc))
    players = Process(*command), Process(*command)
    yield players
    for player in players:
        player.process.communicate()


@pytest.fixture
def anna(pair: Pair, network: Network) -> Person:
    """The user of both clients, whose access tokens the service refuses by now."""
    anna = joined(network.service)
    do(pair[0], "logIn", anna.email, PASSWORD)
    for player in pair:
        assert do(player, *LIST) == ["ok", []]
    network.expired = {access_of(request) for request in network.sent} - {""}
    network.sent.clear()
    return anna
