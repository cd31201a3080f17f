"""A service under gunicorn, and an operator's commands."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import requests

from tasks_api.config import ROOT, Settings
from tests.databases import databases

T = TypeVar("T")
PASSWORD = "correct horse battery"
FAST = {"TASKS_PASSWORD_ITERATIONS": "100000", "TASKS_RATELIMIT_ENABLED": "false"}
GUNICORN = str(Path(sys.executable).with_name("gunicorn"))


@dataclass
class Live:
    """A gunicorn that listens on loopback."""

    url: str
    process: subprocess.Popen[bytes]
    instance: Path

    def post(self, path: str, body: object, token: str = "") -> requests.Response:
        return requests.post(self.url + path, json=body, headers=bearer(token), timeout=30)

    def get(self, path: str, token: str = "") -> requests.Response:
        return requests.get(self.url + path, headers=bearer(token), timeout=30)

    def refresh(self, tokens: dict[str, Any]) -> requests.Response:
        body = {"refreshToken": tokens["refreshToken"]}
        return self.post("/api/users/refresh_token", body)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def environment(
    instance: Path, database: dict[str, str] | None = None, /, **settings: str
) -> dict[str, str]:
    """This process's environment with only our settings in it. ``database`` names another one than its own."""
    if database is None:
        database = databases.settings(instance)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match("TASKS_|COV_|PROMETHEUS|WEB_CONC|GUNICORN", name)
    }
    ours = FAST | database | {"TASKS_INSTANCE_PATH": str(instance)}
    return kept | ours | {f"TASKS_{name}": value for name, value in settings.items()}


def load_settings(environ: dict[str, str]) -> Settings:
    """The settings of a process with this environment; a .env file of the checkout is not read."""
    folder = Path(environ.get("TASKS_INSTANCE_PATH", ".")).parent
    with patch.dict(os.environ, environ, clear=True), chdir(folder if folder.is_dir() else "."):
        return Settings()


def serving(
    instance: Path,
    *options: str,
    workers: int = 1,
    program: tuple[str, ...] = (GUNICORN,),
    application: str = "wsgi:app",
    output: int = subprocess.DEVNULL,
    **settings: str,
) -> AbstractContextManager[Live]:
    """Serve under gunicorn, as ``make run`` does; ``options`` are gunicorn's, ``output`` is where it writes."""
    address = f"127.0.0.1:{free_port()}"
    command = (*program, *options, "--bind", address, application)
    environ = environment(instance, **settings) | {"WEB_CONCURRENCY": str(workers)}
    return running(f"http://{address}", instance, *command, environ=environ, output=output)


@contextmanager
def running(
    url: str,
    instance: Path,
    *command: str,
    environ: dict[str, str] | None = None,
    folder: Path = ROOT,
    output: int = subprocess.DEVNULL,
) -> Iterator[Live]:
    """What ``command`` serves at ``url``, from when it is up until the end of the block."""
    process = subprocess.Popen(
        command, cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT
    )
    live = Live(url, process, instance)
    try:
        wait_until_up(live)
        yield live
    finally:
        process.terminate()
        process.wait(60)


def wait_until_up(live: Live) -> None:
    def is_up() -> bool:
        try:
            return live.get("/health/live").status_code < 500
        except requests.ConnectionError:
            assert live.process.poll() is None, "gunicorn did not start"
            return False

    wait_for(is_up)


def wait_for(question: Callable[[], T]) -> T:
    for _ in range(1200):
        if answer := question():
            return answer
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def log_in(live: Live, email: str) -> dict[str, Any]:
    answer = live.post("/api/users/login", {"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def signup_of(email: str, password: str = PASSWORD) -> dict[str, str]:
    names = {"firstName": "Anna", "lastName": "Andersson"}
    return {"email": email, "password": password, "confirmPassword": password} | names


def sign_up(live: Live, email: str) -> requests.Response:
    return live.post("/api/users/signup", signup_of(email))


def new_user(live: Live, email: str) -> dict[str, Any]:
    """Sign somebody up and in; the answer's tokens."""
    assert sign_up(live, email).status_code == 201
    return log_in(live, email)


def at_once(count: int, action: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(action) for _ in range(count)]]


@contextmanager
def working(count: int, action: Callable[[], requests.Response]) -> Iterator[Counter[int]]:
    """People who do the same over and over, and how often each status has come of it."""
    seen: Counter[int] = Counter()
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            seen[action().status_code] += 1

    with ThreadPoolExecutor(count) as pool:
        people = [pool.submit(work) for _ in range(count)]
        try:
            yield seen
        finally:
            over.set()
        for person in people:
            person.result()


def workers_of(live: Live) -> list[int]:
    return children(live.process.pid)


def children(parent: int) -> list[int]:
    return [
        int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ]


def run(
    *command: str, environ: dict[str, str] | None = None, folder: Path = ROOT
) -> tuple[int, str]:
    """The exit status of a command, and all that it says."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


def output_of(*command: str, **where: Any) -> str:
    """What a command says that must succeed; ``where`` is as for ``run``."""
    code, said = run(*command, **where)
    assert code == 0, said
    return said


def flask(instance: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """The exit status and the output of an operator's command."""
    command = (sys.executable, "-m", "flask", "--app", "tasks_api", *arguments)
    return run(*command, environ=environment(instance, **settings))


def code_block(page: str, heading: str, language: str = "sh") -> str:
    """The first block in that language under a heading of a page."""
    section = (ROOT / page).read_text().split(heading, 1)[1]
    return section.split(f"```{language}\n", 1)[1].split("```")[0]
