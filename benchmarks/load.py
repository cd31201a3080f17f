"""A service under load: wrk sends the requests, and the processes tell what they cost."""

import json
import os
import re
import statistics
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.live import PASSWORD, Live, log_in, workers_of

SCRIPT = Path(__file__).with_name("load.lua")
EMAIL = "bench{}@example.com"  # of the client with this number


@dataclass
class Served:
    """A service, and what was measured by route."""

    live: Live
    folder: Path
    found: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def drive(self, route: str, clients: int, seconds: float) -> dict[str, float]:
        """Have each client log in and then send requests for ``seconds``, each as fast as it gets answers.

        Returns:
            requests, rate (requests a second), p50, p99, max (ms) and cpu (ms a request).
        """
        file = self.folder / "clients"
        file.write_text("\n".join(self._line(number) for number in range(clients)))
        count = str(clients)
        command = [
            "wrk",
            "--threads",
            count,
            "--connections",
            count,
            "--duration",
            f"{seconds:g}s",
        ]
        command += ["--timeout", "10s", "--script", str(SCRIPT), self.live.url]
        before = self._processor_seconds()
        done = subprocess.run(
            [*command, "--", route, str(file)], capture_output=True, text=True, check=True
        )
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        if found["failed"]:
            raise SystemExit(f"{route} on {self.live.url} failed:\n{done.stdout}{done.stderr}")
        found["rate"] = found["requests"] / found["seconds"]
        spent = self._processor_seconds() - before
        found["cpu"] = spent / max(1, found["requests"]) * 1000
        self.found.setdefault(route, []).append(found)
        return found

    def _line(self, number: int) -> str:
        """Log a client in and return its line of the script's file."""
        email = EMAIL.format(number)
        tokens = log_in(self.live, email)
        names = ("userId", "accessToken", "refreshToken")
        return "\t".join([email, PASSWORD, *(str(tokens[name]) for name in names)])

    def median(self, route: str, name: str) -> float:
        """Return the median over the rounds."""
        return statistics.median(found[name] for found in self.found[route])

    def _sum(self, read: Callable[[Path], float]) -> float:
        """Add up a figure of the master and the workers, each with its folder in /proc."""
        found = 0.0
        for pid in (self.live.process.pid, *workers_of(self.live)):
            with suppress(OSError):  # a worker that has just ended
                found += read(Path(f"/proc/{pid}"))
        return found

    def _processor_seconds(self) -> float:
        def ticks(process: Path) -> float:
            user, system = (process / "stat").read_text().split()[13:15]
            return int(user) + int(system)

        return self._sum(ticks) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return what all processes hold in MB. A shared page counts once (PSS)."""

        def kilobytes(process: Path) -> float:
            found = re.search(
                r"^Pss: +(\d+)", (process / "smaps_rollup").read_text(), re.MULTILINE
            )
            return int(found[1]) if found else 0

        return self._sum(kilobytes) / 1024

    def open_files(self) -> float:
        """Return how many files all processes have open."""
        return self._sum(lambda process: len(list((process / "fd").iterdir())))
