"""make bench: what the service costs, beside a bare floor and the tutorial's algorithm.

    .venv/bin/python -m benchmarks [--seconds 4] [--rounds 3] [--clients 8] [--growth 1000000] [--only list,add]

All three run under gunicorn with the same number of workers and threads, each on an SQLite file with the same users.
wrk drives them in turns. The output is Markdown: throughput, latency, processor time and memory, with ratios.
"""

import argparse
import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks_api import create_app
from tasks_api.database.engine import db
from tests.conftest import joined
from tests.live import environment, load_settings, serving

from .load import EMAIL, Served

ROUTES = ("health", "list", "add", "refresh", "login")
TASKS_A_USER = 20
# Every check is on. The limits are higher than the load of one machine.
SETTINGS: dict[str, Any] = {
    "JWT_SECRET_KEY": "benchmark-" * 4,
    "REFRESH_TOKEN_KEY": "benchmark-" * 5,
    "PASSWORD_ITERATIONS": "600000",
    "RATELIMIT_ENABLED": "true",
    "RATELIMIT_LOGIN": "1000000 per second",
    "RATELIMIT_SIGNUP": "1000000 per second",
}


def make_database(folder: Path, clients: int) -> None:
    """Make a database with this many users, each with some tasks."""
    quiet = SETTINGS | {"LOG_LEVEL": "ERROR"}
    app = create_app(load_settings(environment(folder, {}, **quiet)))
    for number in range(clients):
        user = joined(app, EMAIL.format(number))
        for task in range(TASKS_A_USER):
            user.add_task(f"task number {task}")
    with app.app_context():
        db.engine.dispose()


def grow(file: Path, rows: int) -> None:
    """Add this many tasks and sessions of other users."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    people = rows // TASKS_A_USER
    with closing(sqlite3.connect(file)) as connection, connection:
        (first,) = connection.execute("SELECT MAX(Id) + 1 FROM User").fetchone()
        connection.execute(
            f"{numbers} INSERT INTO User (Email, Password, PasswordSalt, FirstName, LastName, TS, Active)"
            " SELECT 'other' || i || '@example.com', '', '', 'O', 'O', '2026-01-01 00:00:00', 1 FROM n",
            (people,),
        )
        connection.execute(
            f"{numbers} INSERT INTO Task (UserId, Name, IsCompleted, TS)"
            " SELECT ? + i % ?, 'task number ' || i, 0, '2026-01-01 00:00:00' FROM n",
            (rows, first, people),
        )
        connection.execute(
            f"{numbers} INSERT INTO RefreshToken (UserId, TokenHash, TokenSalt, TS, ExpiryDate)"
            " SELECT ? + i % ?, ?, ?, DATETIME('now'), DATETIME('now', '+14 days') FROM n",
            (rows, first, people, "h" * 44, "s" * 44),
        )


@contextmanager
def served(template: Path, application: str = "wsgi:app") -> Iterator[Served]:
    """Serve a copy of the database."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(template, folder / "tasks.db")
        workers = os.cpu_count() or 1
        with serving(folder, application=application, workers=workers, **SETTINGS) as live:
            yield Served(live, folder)


def measure(services: list[Served], arguments: argparse.Namespace) -> None:
    """Measure each route of all services, in turns."""
    for route in arguments.only:
        for turn in range(arguments.rounds):
            for service in services if turn % 2 == 0 else reversed(services):
                service.drive(route, arguments.clients, arguments.seconds)


def print_table(*headings: str, rows: list[list[str]]) -> None:
    """Print a table whose columns, but for the first, are numbers."""
    print(f"| {' | '.join(headings)} |")
    print("| --- |" + " ---: |" * (len(headings) - 1))
    for row in rows:
        print(f"| {' | '.join(row)} |")


def compare(template: Path, arguments: argparse.Namespace) -> None:
    """Print the service beside the floor and the tutorial's algorithm."""
    with ExitStack() as stack:
        applications = ("wsgi:app", "benchmarks.floor:app", "benchmarks.tutorial:app")
        services = [stack.enter_context(served(template, name)) for name in applications]
        measure(services, arguments)
        rows = []
        for route in arguments.only:
            rate, floor, tutorial = (each.median(route, "rate") for each in services)
            cpu = " / ".join(f"{each.median(route, 'cpu'):.2f}" for each in services)
            milliseconds = [services[0].median(route, name) for name in ("p50", "p99", "max")]
            rows.append(
                [
                    *(route, f"{rate:,.0f}"),
                    f"{rate / floor:.0%} of {floor:,.0f}",
                    f"{rate / tutorial:.1f} x {tutorial:,.0f}",
                    *(f"{each:,.1f}" for each in milliseconds),
                    cpu,
                ]
            )
        memory = " / ".join(f"{each.memory():.0f}" for each in services)
    headings = ("route", "requests/s", "of the floor", "of the tutorial", "p50 ms", "p99 ms")
    print_table(*headings, "max ms", "CPU ms a request", rows=rows)
    print(
        f"\nMemory of all processes: {memory} MB. Figures with slashes: service / floor / tutorial."
    )


def compare_sizes(template: Path, arguments: argparse.Namespace) -> None:
    """Print the service on small tables beside the service on large ones."""
    sizes = (1_000, arguments.growth)
    with ExitStack() as stack:
        services = []
        for size in sizes:
            file = template.with_name(f"{size}.db")
            shutil.copy(template, file)
            grow(file, size)
            services.append(stack.enter_context(served(file)))
        measure(services, arguments)
        rows = []
        for route in arguments.only:
            cpu, rate, p99 = (
                [each.median(route, name) for each in services] for name in ("cpu", "rate", "p99")
            )
            rows.append(
                [
                    *(route, f"{cpu[0]:.3f}", f"{cpu[1]:.3f} ({cpu[1] / cpu[0]:.0%})"),
                    f"{rate[1] / rate[0]:.0%}",
                    f"{p99[0]:.1f}, {p99[1]:.1f}",
                ]
            )
    small, large = (f"CPU ms a request with {size:,} rows" for size in sizes)
    print()
    print_table("route", small, large, "requests/s", "p99 ms", rows=rows)


def machine() -> str:
    """Return the machine and the versions."""
    names = ("flask", "sqlalchemy", "gunicorn", "pyjwt", "orjson")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}, {packages}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=str(__doc__).partition("\n")[0]
    )
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument(
        "--growth", type=int, default=1_000_000, help="rows of large tables; 0: none"
    )
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=ROUTES, help="routes"
    )
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is needed: apt-get install wrk, or brew install wrk")
    print(f"{machine()}; {arguments.clients} clients, median of {arguments.rounds} rounds.\n")
    with tempfile.TemporaryDirectory() as name:
        template = Path(name) / "tasks.db"
        make_database(template.parent, arguments.clients)
        compare(template, arguments)
        if arguments.growth:
            compare_sizes(template, arguments)


if __name__ == "__main__":
    main()
