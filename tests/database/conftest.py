"""Errors of SQL Server, another program, a clock that does not sleep, other schema scripts."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tasks_api.config import current_settings
from tasks_api.database import commands, engine, migrations, sqlserver
from tests.conftest import MakeApp
from tests.databases import databases


def failure(text: str, number: int, state: str = "42000") -> Exception:
    """Return an error as the driver reports it: SQLSTATE and message."""
    return Exception(
        state, f"[{state}] [Microsoft][SQL Server]{text} ({number}) (SQLExecDirectW)"
    )


@pytest.fixture
def other_program(make_app: MakeApp, tmp_path: Path) -> Iterator[Any]:
    """A connection of another program to the database of an app, in autocommit mode."""
    connection: Any
    if databases.server:
        connection = sqlserver.connect(databases.made[databases.shared])
    else:
        file = tmp_path / "instance" / "tasks.db"
        connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    with closing(connection):
        yield connection


class FakeTime:
    """Stands in for the module ``time``."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The time of retries and of commands that wait."""
    fake = FakeTime()
    for module in (engine, commands):
        monkeypatch.setattr(module, "time", fake)
    return fake


def upgrade_as(found: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Upgrade as an installation that has these scripts."""
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "scripts", lambda _settings: found)
        migrations.upgrade(current_settings)
