"""A soak: people work while workers die and the database goes away, and a ledger has what was acknowledged to them.

    .venv/bin/python -m benchmarks.soak [--rounds 30] [--people 8] [--load 0.5]

An access token lives 5 seconds instead of 15 minutes, so a minute has the rotations of three hours. People act at a
share of the rate that they reach without pauses. In each round of two minutes the workers are reloaded, two are killed,
and the database is away for 20 seconds: SQLite's file is locked, or the server of TASKS_TEST_DATABASE_URL is cut off.
The exit status is 1 if something acknowledged is lost, if a session ended that should live, if an answer is wrong, or
if memory or files grew.
"""

import argparse
import os
import random
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from tests.database.relay import Relay, server_of
from tests.databases import databases
from tests.live import serving, workers_of

from .load import Served
from .people import Person

SETTINGS: dict[str, Any] = {"ACCESS_TOKEN_SECONDS": "5", "REFRESH_RETRY_SECONDS": "1"}
WARM_UP_SECONDS = 5
OUTAGE_SECONDS = 20
# Of each round: when, in seconds, and what.
TROUBLES = ((20, "reload"), (45, "kill"), (65, "outage"), (105, "kill"), (120, "look"))
MAX_GROWTH = 1.3  # of memory
MORE_OPEN_FILES = 40  # connections come and go


def work(person: Person, pace: float, over: Event) -> int:
    """Act once in ``pace`` seconds until it is ``over``, and return how often that was."""
    due = time.monotonic()
    acts = 0
    while not over.is_set():
        person.act()
        acts += 1
        due = max(due + pace, time.monotonic())
        over.wait(due - time.monotonic())
    return acts


class Soak:
    """A service, its people, and the troubles."""

    def __init__(self, served: Served, people: list[Person], relay: Relay | None) -> None:
        self.served = served
        self.people = people
        self.relay = relay
        self.held: list[dict[str, float]] = []

    def run(self, rounds: int, load: float) -> None:
        """Run all rounds."""
        with self.at_work(0) as acts:
            time.sleep(WARM_UP_SECONDS)
        rate = sum(acts) / WARM_UP_SECONDS
        print(f"{rate:.0f} acts a second without pauses; now {load:.0%}, {2 * rounds} minutes.")
        self.look()
        with self.at_work(len(self.people) / (load * rate)):
            began = time.monotonic()
            for cycle in range(rounds):
                for second, trouble in TROUBLES:
                    time.sleep(max(0, began + 120 * cycle + second - time.monotonic()))
                    getattr(self, trouble)()
        for person in self.people:
            person.finish()

    @contextmanager
    def at_work(self, pace: float) -> Iterator[list[int]]:
        """Let all people work; at the end the list has how often each one acted."""
        over = Event()
        acts: list[int] = []
        with ThreadPoolExecutor(len(self.people)) as pool:
            working = [pool.submit(work, person, pace, over) for person in self.people]
            try:
                yield acts
            finally:
                over.set()
            acts += [each.result() for each in working]

    def reload(self) -> None:
        """Replace all workers, as for new settings."""
        self.served.live.process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """Kill one worker, whatever it is doing."""
        os.kill(random.choice(workers_of(self.served.live)), signal.SIGKILL)  # noqa: S311

    def outage(self) -> None:
        """Take the database away for a while."""
        if self.relay:
            self.relay.cut()
            time.sleep(OUTAGE_SECONDS)
            self.relay.mend()
            return
        file = self.served.folder / "tasks.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(OUTAGE_SECONDS)

    def look(self) -> None:
        """Note what the processes and the folder hold."""
        self.held.append(
            {
                "MB of memory": self.served.memory(),
                "open files": self.served.open_files(),
                "files in instance/": len(list(self.served.folder.iterdir())),
            }
        )

    def report(self) -> list[str]:
        """Print the figures and return what is wrong."""
        counts = sum((person.counts for person in self.people), Counter[str]())
        print("| what | how often |\n| --- | ---: |")
        for name in sorted(counts):
            print(f"| {name} | {counts[name]:,} |")
        first, last = self.held[0], self.held[-1]
        for name in first:
            most = max(held[name] for held in self.held)
            print(f"{name}: {first[name]:.0f}, at most {most:.0f}, at the end {last[name]:.0f}")
        allowed = {
            "MB of memory": MAX_GROWTH * first["MB of memory"],
            "open files": first["open files"] + MORE_OPEN_FILES,
            "files in instance/": first["files in instance/"],
        }
        wrong = [each for person in self.people for each in person.wrong]
        return wrong + [f"{name} grew" for name in first if last[name] > allowed[name]]


def soak(folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Run a soak in this folder and return what is wrong."""
    settings, relay = SETTINGS, None
    if databases.server:
        address = databases.settings(folder)["TASKS_DATABASE_URL"]
        relay = Relay(server_of(address))
        settings = SETTINGS | {"DATABASE_URL": relay.through(address)}
    with serving(folder, workers=2, **settings) as live:
        people = [Person(live.url, number) for number in range(arguments.people)]
        trial = Soak(Served(live, folder), people, relay)
        trial.run(arguments.rounds, arguments.load)
        return trial.report()


def main() -> None:
    """Run a soak and print what was seen."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.soak", description=str(__doc__).partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=30, help="of two minutes")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--load", type=float, default=0.5, help="share of the greatest rate")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as name:
            wrong = soak(Path(name), arguments)
    finally:
        databases.drop_all()
    print("\n".join(wrong) or "Nothing was lost, and no session ended that should live.")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
