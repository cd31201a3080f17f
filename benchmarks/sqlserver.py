"""What the service costs on SQL Server, and what a network adds.

    TASKS_TEST_DATABASE_URL=mssql://... .venv/bin/python -m benchmarks.sqlserver
        [--seconds 4] [--delays 0,0.5,2] [--clients 1,8,32] [--threads 8] [--only list,add]

Prints the statements and round trips of each route. Then wrk drives the service under gunicorn, through a relay that
delays each packet by so many milliseconds each way. "Allowed" is what clients could send if the service waited for its
round trips and did nothing else.
"""

import argparse
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks_api import create_app
from tasks_api.database.engine import db
from tests.conftest import joined, watch
from tests.database.relay import Relay, server_of
from tests.databases import databases
from tests.live import environment, load_settings, serving, sign_up

from .load import EMAIL, Served

ROUTES = ("list", "add", "refresh", "login")


def count_statements(folder: Path) -> dict[str, int]:
    """Print the statements and round trips of each route, and return the round trips."""
    address = databases.settings(folder)["TASKS_DATABASE_URL"]
    with Relay(server_of(address)) as relay:
        # The relay counts what it can read, and of two equal names the first one counts.
        settings = {"DATABASE_URL": f"Encrypt=no;{relay.through(address)}", "LOG_LEVEL": "ERROR"}
        app = create_app(load_settings(environment(folder, **settings)))
        statements: list[str] = []
        user = joined(app, "counted@example.com")
        watch(app, statements.append)
        requests: dict[str, Callable[[], Any]] = {
            "list": user.tasks,
            "add": user.add_task,
            "change": lambda: user.call("PATCH", "/api/tasks/1", json={"name": "y"}),
            "delete": lambda: user.call("DELETE", "/api/tasks/1"),
            "refresh": user.renew,
            "list, first": user.tasks,  # marks the answer as used
            "login": user.log_in,
            "sessions": user.sessions,
            "logout": lambda: user.call("POST", "/api/users/logout"),
            "ready": lambda: user.client.get("/health/ready"),
        }
        found: dict[str, int] = {}
        print("route       statements  round trips")
        for name, request in requests.items():
            statements.clear()
            relay.sent.clear()
            request()
            found[name] = len(relay.sent)
            print(f"{name:<12}{len(statements):>10}{found[name]:>13}")
        with app.app_context():
            db.engine.dispose()
    return found


def relay(server: str, delay: float, port: Any) -> None:
    """Relay in another process, whose threads do not wait for the benchmark's."""
    with Relay(server, delay) as way:
        port.send(way.server)
        port.recv()


@contextmanager
def relayed(address: str, milliseconds: float) -> Iterator[str]:
    """Return the address of the same server, this much further away."""
    here, there = multiprocessing.Pipe()
    arguments = (server_of(address), milliseconds / 1000, there)
    process = multiprocessing.Process(target=relay, args=arguments, daemon=True)
    process.start()
    try:
        yield f"Server={here.recv()};{address}"
    finally:
        here.send("enough")
        process.join()


def measure(folder: Path, arguments: argparse.Namespace) -> None:
    """Print the table for each delay and number of clients."""
    round_trips = count_statements(folder)
    address = databases.settings(folder)["TASKS_DATABASE_URL"]
    for delay in arguments.delays:
        with relayed(address, delay) as way:
            settings: dict[str, Any] = {"DATABASE_URL": way, "THREADS": str(arguments.threads)}
            with serving(folder, workers=os.cpu_count() or 1, **settings) as live:
                service = Served(live, folder)
                for number in range(max(arguments.clients)):
                    sign_up(live, EMAIL.format(number))
                for clients in arguments.clients:
                    print(
                        f"\n{clients} clients, {delay:g} ms each way, {arguments.threads} threads"
                    )
                    print("            req/s      p50      p99  allowed  CPU ms")
                    for route in arguments.only:
                        # Connections are opened when they are needed, and their first statements are slow.
                        service.drive(route, clients, 1)
                        found = service.drive(route, clients, arguments.seconds)
                        waiting = round_trips[route] * delay * 2 / 1000  # seconds
                        allowed = f"{clients / waiting:.0f}" if waiting else "-"
                        print(row(route, found, allowed))


def row(route: str, found: dict[str, float], allowed: str) -> str:
    """Return a line of the table."""
    figures = f"{found['rate']:>9.0f} {found['p50']:>8.1f} {found['p99']:>8.1f}"
    return f"{route:<8}{figures} {allowed:>8} {found['cpu']:>7.2f}"


def numbers(text: str) -> list[float]:
    """Read numbers with commas between."""
    return [float(each) for each in text.split(",")]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.sqlserver", description=str(__doc__).partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--delays", type=numbers, default=[0, 0.5, 2], help="ms each way")
    parser.add_argument(
        "--clients", type=lambda text: [int(each) for each in text.split(",")], default=[1, 8, 32]
    )
    parser.add_argument("--threads", type=int, default=8, help="of a worker")
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=ROUTES, help="routes"
    )
    arguments = parser.parse_args()
    if not databases.server:
        raise SystemExit("TASKS_TEST_DATABASE_URL names no SQL Server")
    if not shutil.which("wrk"):
        raise SystemExit("wrk is needed: apt-get install wrk, or brew install wrk")
    with tempfile.TemporaryDirectory() as folder:
        try:
            measure(Path(folder), arguments)
        finally:
            databases.drop_all()


if __name__ == "__main__":
    main()
