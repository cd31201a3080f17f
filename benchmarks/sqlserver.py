"""What the service costs on SQL Server, and what a network adds, beside a bare pyodbc loop with the same statements.

    TASKS_TEST_DATABASE_URL=mssql://... .venv/bin/python -m benchmarks.sqlserver
        [--seconds 4] [--delays 0,0.5,2] [--clients 1,8,32] [--threads 4] [--only list,add]

Prints, for each route, its statements and round trips; then throughput and latency under gunicorn, driven by wrk,
through a relay that takes ``delays`` milliseconds each way. The loop has as many connections as there are clients,
keeps its statements prepared, and for login makes the same password hash. "Allowed" is what clients that do nothing but
wait for round trips could send.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event

from tasks_api import create_app
from tasks_api.config import Settings
from tasks_api.config.database_url import Keywords
from tasks_api.database import sqlserver
from tasks_api.database.engine import db
from tests.conftest import Person
from tests.database.relay import Relay
from tests.databases import Databases
from tests.live import FAST, Live, serving, sign_up

from .load import Served
from .loop import Loop

ROUTES = ("list", "add", "refresh", "login")
Action = Callable[[], None]
HEADINGS = (
    "            req/s      p50      p99  allowed      CPU | loops/s      p50      p99  share"
)


def statements_and_round_trips(databases: Databases, folder: Path) -> dict[str, list[str]]:
    """Print them for each route, and return the statements."""
    databases.settings(folder)
    with Relay(databases.at()["server"]) as relay:
        way = databases.made[folder] | {"server": relay.server, "encrypt": "no"}
        environ = FAST | {
            "TASKS_UPGRADE_ON_START": "true",
            "TASKS_LOG_LEVEL": "ERROR",
            "TASKS_MAX_SESSIONS": "2",
        }
        app = create_app(
            Settings.load(
                environ | {"TASKS_DATABASE_URL": sqlserver.connection_string(way)}, folder
            )
        )
        said: list[str] = []
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
        somebody = Person(app.test_client(), "counted@example.com")
        somebody.sign_up()
        for _ in range(3):
            somebody.log_in()
        task = somebody.call("POST", "/api/tasks", json={"name": "x"}).get_json()["id"]
        requests: dict[str, Callable[[], Any]] = {
            "list": lambda: somebody.call("GET", "/api/tasks?limit=20"),
            "add": lambda: somebody.call("POST", "/api/tasks", json={"name": "x"}),
            "change": lambda: somebody.call("PATCH", f"/api/tasks/{task}", json={"name": "y"}),
            "delete": lambda: somebody.call("DELETE", f"/api/tasks/{task}"),
            "refresh": lambda: somebody.keep(somebody.refreshed()),
            "list, first": lambda: somebody.call(
                "GET", "/api/tasks?limit=20"
            ),  # marks the answer as used
            "login": somebody.log_in,
            "sessions": lambda: somebody.call("GET", "/api/users/sessions"),
            "logout": lambda: somebody.call("POST", "/api/users/logout"),
            "ready": lambda: somebody.client.get("/health/ready"),
        }
        found: dict[str, list[str]] = {}
        print("route       statements  round trips")
        for name, request in requests.items():
            said.clear()
            relay.sent.clear()
            request()
            found[name] = [sql for sql in said if not sql.startswith("SET")]
            print(f"{name:<12}{len(found[name]):>10}{len(relay.sent):>13}")
        with app.app_context():
            db.engine.dispose()
    return found


def measure(actions: list[Action], seconds: float) -> list[float]:
    """Let each of ``actions`` run in a thread of its own; the durations of all, in milliseconds."""
    durations: list[float] = []
    end = time.perf_counter() + seconds

    def work(action: Action) -> None:
        while (started := time.perf_counter()) < end:
            action()
            durations.append((time.perf_counter() - started) * 1000)

    threads = [threading.Thread(target=work, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return durations


def relay(server: str, delay: float, port: Any) -> None:
    """A process of its own: its threads are not to wait for the loop's."""
    with Relay(server, delay) as way:
        port.send(way.server)
        port.recv()


@contextmanager
def relayed(keywords: Keywords, milliseconds: float) -> Iterator[Keywords]:
    """The same server, that much further away."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(
        target=relay, args=(keywords["server"], milliseconds / 1000, there), daemon=True
    )
    process.start()
    try:
        yield keywords | {"server": here.recv()}
    finally:
        here.send("enough")
        process.join()


def row(
    route: str, service: dict[str, float], bare: list[float], seconds: float, allowed: str
) -> str:
    """A line of the table. On a slow day there may be too few answers for one."""
    if service["requests"] < 2 or len(bare) < 2:
        return f"{route}: too few answers: {service['requests']:.0f} and {len(bare)}"
    rate, p99 = len(bare) / seconds, statistics.quantiles(bare, n=100)[98]
    figures = f"{service['rate']:>8.0f} {service['p50']:>8.1f} {service['p99']:>8.1f}"
    loops = f"{rate:>8.0f} {statistics.median(bare):>8.1f} {p99:>8.1f}"
    return f"{route:<8} {figures} {allowed:>8} {service['cpu']:>8.2f} |{loops} {service['rate'] / rate:>6.0%}"


def compare(databases: Databases, folder: Path, arguments: argparse.Namespace) -> None:
    """The service beside the loop, for each delay and number of clients."""
    statements = statements_and_round_trips(databases, folder)
    for delay in arguments.delays:
        with relayed(databases.made[folder], delay) as way:
            settings: dict[str, Any] = {
                "DATABASE_URL": sqlserver.connection_string(way),
                "THREADS": str(arguments.threads),
                "LOG_LEVEL": "WARNING",
            }
            with serving(folder, workers=os.cpu_count() or 1, **settings) as live:
                for count in arguments.clients:
                    print(f"\n{count} clients, {delay:g} ms each way, {arguments.threads} threads")
                    print(HEADINGS)
                    loops = [loop(live, way, statements, number) for number in range(count)]
                    for route in arguments.only:
                        trips = len(statements[route]) * delay * 2 / 1000  # seconds
                        allowed = f"{count / trips:.0f}" if trips else "-"
                        actions = [getattr(each, route) for each in loops]
                        service = Served(live, folder)
                        print(in_turns(service, actions, route, arguments.seconds, allowed))
                    for each in loops:
                        each.connection.close()


def loop(live: Live, way: Keywords, statements: dict[str, list[str]], number: int) -> Loop:
    """A loop for a user of its own, whom the service's clients use too."""
    email = f"bench{number}@example.com"
    sign_up(live, email)
    return Loop(way, statements, email)


def in_turns(
    service: Served, actions: list[Action], route: str, seconds: float, allowed: str
) -> str:
    """A line of the table: service and loop, one after the other, warmed up.

    Connections are opened when they are needed, and their first statements are slow.
    """
    service.drive(route, len(actions), 1)
    measure(actions, 1)
    found = service.drive(route, len(actions), seconds)
    return row(route, found, measure(actions, seconds), seconds, allowed)


def numbers(text: str) -> list[float]:
    """Comma-separated."""
    return [float(each) for each in text.split(",")]


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.sqlserver", description=str(__doc__).partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--delays", type=numbers, default=[0, 0.5, 2], help="ms each way")
    parser.add_argument(
        "--clients", type=lambda text: [int(each) for each in text.split(",")], default=[1, 8, 32]
    )
    parser.add_argument("--threads", type=int, default=4, help="of a worker")
    parser.add_argument("--only", type=lambda text: text.split(","), default=ROUTES, help="routes")
    arguments = parser.parse_args()
    databases = Databases()
    if not databases.server:
        raise SystemExit("TASKS_TEST_DATABASE_URL names no SQL Server")
    if not shutil.which("wrk"):
        raise SystemExit("wrk is needed: apt-get install wrk, or brew install wrk")
    with tempfile.TemporaryDirectory() as folder:
        try:
            compare(databases, Path(folder), arguments)
        finally:
            databases.drop_all()


if __name__ == "__main__":
    main()
