"""A soak: people at work while workers die and the database goes away, held against a ledger of what was acknowledged.

    .venv/bin/python -m benchmarks.soak [--rounds 30] [--people 8] [--load 0.5]

Time is 180 times as fast: an access token lives 5 seconds instead of 15 minutes, so that a minute has the rotations
of three hours. People act at half the rate that they reach without pauses, or at another share of it. Every two
minutes the workers are reloaded, two are killed, and the database is away for 20 seconds: the embedded one is locked,
a server that TASKS_TEST_DATABASE_URL names is cut off. It ends with 1 if something acknowledged is lost, a session
ended that should live, anything is answered as it should not be, or memory or files grew.
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

from tasks_api.database import sqlserver
from tests.database.relay import Relay
from tests.databases import databases
from tests.live import serving, workers_of

from .load import Served
from .people import Person

LIFETIMES = {"ACCESS_TOKEN_SECONDS": "5", "REFRESH_RETRY_SECONDS": "1"}
WARMING_UP = 5  # seconds
OUTAGE = 20  # seconds
# Of each two minutes, in seconds.
TROUBLES = ((20, "reload"), (45, "kill"), (65, "outage"), (105, "kill"), (120, "look"))
GROWTH = 1.3  # what processes may hold at the end, beside the beginning
OPEN_FILES = 40  # that may come and go: connections


def work(person: Person, seconds: float, over: Event) -> int:
    """Act every so many ``seconds`` until it is ``over``; how often that was."""
    due = time.monotonic()
    acts = 0
    while not over.is_set():
        person.act()
        acts += 1
        due = max(due + seconds, time.monotonic())
        over.wait(due - time.monotonic())
    return acts


class Soak:
    """A service, the people and what is done to it."""

    def __init__(self, served: Served, people: list[Person], relay: Relay | None) -> None:
        self.served = served
        self.people = people
        self.relay = relay
        self.held: list[dict[str, float]] = []

    def run(self, rounds: int, load: float) -> None:
        """All of it; a round has two minutes."""
        with self.at_work(0) as acts:
            time.sleep(WARMING_UP)
        most = sum(acts) / WARMING_UP
        print(f"{most:.0f} acts a second without pauses; now {load:.0%}, {2 * rounds} minutes.")
        self.look()
        with self.at_work(len(self.people) / (load * most)):
            began = time.monotonic()
            for cycle in range(rounds):
                for second, trouble in TROUBLES:
                    time.sleep(max(0, began + 120 * cycle + second - time.monotonic()))
                    getattr(self, trouble)()
        for person in self.people:
            person.finish()

    @contextmanager
    def at_work(self, pace: float) -> Iterator[list[int]]:
        """Everybody works; afterwards, how often each has acted."""
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
        """New workers, as for new settings."""
        self.served.live.process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """One worker, in the middle of whatever it does."""
        os.kill(random.choice(workers_of(self.served.live)), signal.SIGKILL)  # noqa: S311

    def outage(self) -> None:
        """The database is away."""
        if self.relay:
            self.relay.cut()
            time.sleep(OUTAGE)
            self.relay.mend()
            return
        with closing(
            sqlite3.connect(self.served.folder / "tasks.db", isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(OUTAGE)

    def look(self) -> None:
        """What the processes and the folder hold."""
        processes = self.served.processes()
        self.held.append(
            {
                "MB of memory": self.served.memory(),
                "open files": sum(len(list((each / "fd").iterdir())) for each in processes),
                "files in instance/": len(list(self.served.folder.iterdir())),
            }
        )

    def report(self) -> list[str]:
        """Print the figures, and return what is wrong."""
        counts = sum((person.counts for person in self.people), Counter[str]())
        print("| what | how often |\n| --- | ---: |")
        for name in sorted(counts):
            print(f"| {name} | {counts[name]:,} |")
        first, last = self.held[0], self.held[-1]
        for name in first:
            most = max(held[name] for held in self.held)
            print(f"{name}: {first[name]:.0f}, at most {most:.0f}, at the end {last[name]:.0f}")
        wrong = [each for person in self.people for each in person.wrong]
        if last["MB of memory"] > GROWTH * first["MB of memory"]:
            wrong.append("memory grew")
        if last["open files"] > first["open files"] + OPEN_FILES:
            wrong.append("open files grew")
        if last["files in instance/"] > first["files in instance/"]:
            wrong.append("files in instance/ grew")
        return wrong


def soak(folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Serve from ``folder``; what is wrong."""
    settings: dict[str, Any] = dict(LIFETIMES)
    relay = None
    if databases.server:
        databases.settings(folder)
        relay = Relay(databases.at()["server"])
        way = databases.made[folder] | {"server": relay.server}
        settings["DATABASE_URL"] = sqlserver.connection_string(way)
    with serving(folder, workers=2, **settings) as live:
        people = [Person(live.url, number) for number in range(arguments.people)]
        trial = Soak(Served(live, folder), people, relay)
        trial.run(arguments.rounds, arguments.load)
        return trial.report()


def main() -> None:
    """Print what was seen."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.soak", description=str(__doc__).partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=30, help="of two minutes")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--load", type=float, default=0.5, help="of what people reach, a share")
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
