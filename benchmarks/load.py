"""A service under load: wrk drives it, its processes say what that cost."""

import json
import os
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.live import PASSWORD, Live

SCRIPT = Path(__file__).with_name("load.lua")


@dataclass
class Served:
    """A service, its clients and what was measured."""

    live: Live
    folder: Path
    figures: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def drive(self, route: str, count: int, seconds: float) -> dict[str, float]:
        """Have ``count`` clients log in and then send requests for ``seconds``, each as fast as it gets answers.

        Returns:
            Requests, rate (of them in a second), p50, p99, max (ms) and cpu (ms a request).
        """
        clients = self.folder / "clients"
        clients.write_text(
            "\n".join(self.log_in(f"bench{number}@example.com") for number in range(count))
        )
        command = [
            "wrk",
            "--threads",
            str(count),
            "--connections",
            str(count),
            "--duration",
            f"{seconds:g}s",
        ]
        before = self.processor_seconds()
        done = subprocess.run(
            [*command, "--timeout", "10s", "--script", str(SCRIPT), self.live.url, "--", route, str(clients)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        if found["failed"]:
            raise SystemExit(f"{route} on {self.live.url} failed:\n{done.stdout}{done.stderr}")
        found["rate"] = found["requests"] / found["seconds"]
        found["cpu"] = (self.processor_seconds() - before) / max(1, found["requests"]) * 1000
        self.figures.setdefault(route, []).append(found)
        return found

    def log_in(self, email: str) -> str:
        """A line of the script's file."""
        body = {"email": email, "password": PASSWORD}
        tokens: dict[str, Any] = requests.post(
            f"{self.live.url}/api/users/login", json=body, timeout=30
        ).json()
        return "\t".join(
            [
                *body.values(),
                *(str(tokens[name]) for name in ("userId", "accessToken", "refreshToken")),
            ]
        )

    def figure(self, route: str, name: str) -> float:
        """The median over the rounds."""
        return statistics.median(found[name] for found in self.figures[route])

    def processes(self) -> list[Path]:
        """The master and the workers."""
        parent = self.live.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [Path(f"/proc/{pid}") for pid in (parent, *children)]

    def processor_seconds(self) -> float:
        """What all processes have used so far."""
        ticks = (
            sum(map(int, (each / "stat").read_text().split()[13:15])) for each in self.processes()
        )
        return sum(ticks) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """What all processes hold in MB, shared pages counted once."""
        maps = "".join((each / "smaps_rollup").read_text() for each in self.processes())
        return (
            sum(int(line.split()[1]) for line in maps.splitlines() if line.startswith("Pss:"))
            / 1024
        )
