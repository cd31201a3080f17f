"""make bench: what the service costs, beside a bare floor and the tutorial's algorithm, in turns on one machine.

    .venv/bin/python -m benchmarks [--seconds 4] [--rounds 3] [--clients 8] [--growth 1000000] [--only list,add]

All three run under gunicorn with as many workers and threads, each on an SQLite file of its own with the same users;
wrk drives them one after the other, several times around. Prints Markdown: throughput, latency, processor time and
memory, each with its ratio.
"""

import argparse
import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks_api import create_app
from tasks_api.config import Settings
from tasks_api.database.engine import db
from tests.live import PASSWORD, serving

from .load import Served

ROUTES = ("health", "list", "add", "refresh", "login")
TASKS_A_USER = 20
KEYS = {"JWT_SECRET_KEY": "benchmark-" * 4, "REFRESH_TOKEN_KEY": "benchmark-" * 5}
# Every check is on, with limits that one machine's load does not reach.
SETTINGS: dict[str, Any] = KEYS | {
    "PASSWORD_ITERATIONS": "600000",
    "RATELIMIT_ENABLED": "true",
    "RATELIMIT_LOGIN": "1000000 per second",
    "RATELIMIT_SIGNUP": "1000000 per second",
}


def make_database(folder: Path, clients: int) -> None:
    """A database with that many users, each with some tasks; the password hashes have full strength."""
    settings = SETTINGS | {"LOG_LEVEL": "ERROR"}
    app = create_app(
        Settings.load({f"TASKS_{name}": text for name, text in settings.items()}, folder)
    )
    anyone = app.test_client()
    names = {
        "password": PASSWORD,
        "confirmPassword": PASSWORD,
        "firstName": "Bench",
        "lastName": "Mark",
    }
    for number in range(clients):
        email = f"bench{number}@example.com"
        anyone.post("/api/users/signup", json=names | {"email": email})
        opened = anyone.post(
            "/api/users/login", json={"email": email, "password": PASSWORD}
        ).get_json()
        for task in range(TASKS_A_USER):
            bearer = {"Authorization": f"Bearer {opened['accessToken']}"}
            anyone.post("/api/tasks", json={"name": f"task number {task}"}, headers=bearer)
    with app.app_context():
        db.engine.dispose()


def grow(file: Path, rows: int) -> None:
    """Add that many tasks and sessions of other users."""
    with closing(sqlite3.connect(file)) as connection, connection:
        (password, salt), people = (
            connection.execute("SELECT Password, PasswordSalt FROM User").fetchone(),
            rows // 20,
        )
        number = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        first = connection.execute("SELECT MAX(Id) FROM User").fetchone()[0]
        connection.execute(
            f"{number} INSERT INTO User (Email, Password, PasswordSalt, FirstName, LastName, TS, Active)"
            " SELECT 'other' || i || '@example.com', ?, ?, 'O', 'O', '2026-01-01 00:00:00', 1 FROM n",
            (people, password, salt),
        )
        connection.execute(
            f"{number} INSERT INTO Task (UserId, Name, IsCompleted, TS)"
            " SELECT ? + 1 + i % ?, 'task number ' || i, 0, '2026-01-01 00:00:00' FROM n",
            (rows, first, people),
        )
        connection.execute(
            f"{number} INSERT INTO RefreshToken (UserId, TokenHash, TokenSalt, TS, ExpiryDate)"
            " SELECT ? + 1 + i % ?, ?, ?, DATETIME('now'), DATETIME('now', '+14 days') FROM n",
            (rows, first, people, "h" * 44, "s" * 44),
        )


@contextmanager
def served(template: Path, *options: str, application: str = "wsgi:app") -> Iterator[Served]:
    """Serve a copy of the database."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(template, folder / "tasks.db")
        with serving(
            folder, *options, application=application, workers=os.cpu_count() or 1, **SETTINGS
        ) as live:
            yield Served(live, folder)


def in_turns(
    contenders: Sequence[Served], routes: Sequence[str], count: int, seconds: float, rounds: int
) -> None:
    """Measure each route on all of them, one after the other, several times around."""
    for route in routes:
        for turn in range(rounds):
            for contender in contenders if turn % 2 == 0 else reversed(contenders):
                contender.drive(route, count, seconds)


def compare(template: Path, arguments: argparse.Namespace) -> None:
    """The service beside the floor and the tutorial's algorithm."""
    with ExitStack() as stack:
        contenders = [
            stack.enter_context(served(template)),
            stack.enter_context(served(template, application="benchmarks.floor:app")),
            stack.enter_context(served(template, application="benchmarks.tutorial:app")),
        ]
        in_turns(contenders, arguments.only, arguments.clients, arguments.seconds, arguments.rounds)
        print(
            "| route | requests/s | of the floor | of the tutorial | p50 ms | p99 ms | max ms | CPU ms a request |"
        )
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for route in arguments.only:
            rate, bare, taught = (each.figure(route, "rate") for each in contenders)
            columns = [
                f"{rate:,.0f}",
                f"{rate / bare:.0%} of {bare:,.0f}",
                f"{rate / taught:.1f} x {taught:,.0f}",
            ]
            columns += [
                f"{contenders[0].figure(route, name):,.1f}" for name in ("p50", "p99", "max")
            ]
            columns += [" / ".join(f"{each.figure(route, 'cpu'):.2f}" for each in contenders)]
            print(f"| {route} | {' | '.join(columns)} |")
        print(
            f"\nMemory of all processes: {' / '.join(f'{each.memory():.0f}' for each in contenders)} MB.",
            end=" ",
        )
        print("Figures with slashes: service / floor / tutorial.")


def growth(template: Path, arguments: argparse.Namespace) -> None:
    """The service on a small table and on a large one."""
    sizes = (1_000, arguments.growth)
    with ExitStack() as stack:
        grown = []
        for rows in sizes:
            file = template.with_name(f"{rows}.db")
            shutil.copy(template, file)
            grow(file, rows)
            grown.append(stack.enter_context(served(file)))
        in_turns(grown, arguments.only, arguments.clients, arguments.seconds, arguments.rounds)
        print(
            f"\n| route | CPU ms a request with {sizes[0]:,} rows | with {sizes[1]:,} | requests/s | p99 ms |"
        )
        print("| --- | ---: | ---: | ---: | ---: |")
        for route in arguments.only:
            small, large = (
                [each.figure(route, name) for name in ("cpu", "rate", "p99")] for each in grown
            )
            columns = [f"{small[0]:.3f}", f"{large[0]:.3f} ({large[0] / small[0]:.0%})"]
            columns += [f"{large[1] / small[1]:.0%}", f"{small[2]:.1f}, {large[2]:.1f}"]
            print(f"| {route} | {' | '.join(columns)} |")


def machine() -> str:
    """Where and with what this was measured."""
    processor = next(
        (
            line.partition(": ")[2]
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "?",
    )
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("flask", "sqlalchemy", "gunicorn", "pyjwt", "orjson")
    )
    return (
        f"{os.cpu_count()} cores ({processor}), {platform.system()} {platform.release()}, Python"
        f" {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}"
    )


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument(
        "--growth", type=int, default=1_000_000, help="rows of the large tables; 0: leave it out"
    )
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=ROUTES, help="routes, comma-separated"
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
            growth(template, arguments)


if __name__ == "__main__":
    main()
