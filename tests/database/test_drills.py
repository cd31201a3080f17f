"""What is hoped never to be needed, rehearsed: an upgrade under load, a restored backup, lost keys."""

import os
import sqlite3
import stat
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import requests

from tasks_api.config import ROOT
from tests.database.original import Original
from tests.databases import embedded_only
from tests.live import PASSWORD, Live, flask, log_in, new_user, serving

pytestmark = embedded_only  # sessions of a server's restored backup: tests/test_on_sqlserver.py


def refresh(live: Live, token: str) -> requests.Response:
    return live.post("/api/users/refresh_token", {"refreshToken": token})


def original_database(file: Path) -> None:
    """The first version, with a user and a task as the .NET original leaves them."""
    salt = "c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ="
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript((ROOT / "sql" / "sqlite" / "001_tasksdb.sql").read_text())
        connection.execute(
            "INSERT INTO User (Email, Password, PasswordSalt, FirstName, LastName, TS, Active)"
            " VALUES ('olle@example.com', ?, ?, 'Olle', 'Original', '2026-01-01 12:00:00', 1)",
            (Original.hash(PASSWORD, salt), salt),
        )
        task = "INSERT INTO Task (UserId, Name, IsCompleted, TS) VALUES (1, 'kept', 0, '2026-01-01 12:00:00')"
        connection.execute(task)
        token = (
            1,
            Original.hash("an original token", salt),
            salt,
            "2026-01-01 12:00:00",
            "2079-01-01 12:00:00",
        )
        columns = "UserId, TokenHash, TokenSalt, TS, ExpiryDate"
        connection.execute(f"INSERT INTO RefreshToken ({columns}) VALUES (?, ?, ?, ?, ?)", token)


def test_an_older_database_is_upgraded_under_a_running_service(tmp_path: Path) -> None:
    original_database(tmp_path / "tasks.db")
    with (
        serving(tmp_path, workers=2, UPGRADE_ON_START="false") as live,
        ThreadPoolExecutor(4) as pool,
    ):
        before = live.get("/health/ready")
        assert before.status_code == 503
        assert "002_sessions.sql" in before.json()["detail"]
        over = threading.Event()

        def work(_: int) -> Counter[int]:
            seen: Counter[int] = Counter()
            credentials = {"email": "olle@example.com", "password": PASSWORD}
            while not over.is_set():
                seen[live.post("/api/users/login", credentials).status_code] += 1
            return seen

        working = [pool.submit(work, number) for number in range(4)]
        time.sleep(0.5)
        assert flask(tmp_path, "db", "upgrade")[0] == 0
        while live.get("/health/ready").status_code != 200:
            time.sleep(0.05)
        time.sleep(0.5)
        over.set()
        answers = sum((each.result() for each in working), Counter())
        assert answers.keys() == {200, 503}
        tokens = log_in(live, "olle@example.com")
        assert [task["name"] for task in live.get("/api/tasks", tokens["accessToken"]).json()] == [
            "kept"
        ]
        assert refresh(live, tokens["refreshToken"]).status_code == 200


def test_a_restored_backup_ends_what_was_refreshed_since_and_nothing_else(tmp_path: Path) -> None:
    file, backup = tmp_path / "tasks.db", tmp_path / "backup.db"
    with serving(tmp_path, workers=2) as live:
        away, at_work = new_user(live, "away@example.com"), new_user(live, "work@example.com")
        live.post("/api/tasks", {"name": "before"}, at_work["accessToken"])
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)  # what sqlite3's .backup does, while the service runs
        live.post("/api/tasks", {"name": "after"}, at_work["accessToken"])
        at_work = refresh(live, at_work["refreshToken"]).json()
        late = new_user(live, "late@example.com")
    for old in tmp_path.glob("tasks.db*"):
        old.unlink()
    backup.chmod(0o644)
    backup.rename(file)
    with serving(tmp_path, workers=2) as live:
        assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob("tasks.db*")} == {0o600}
        assert live.get("/health/ready").status_code == 200
        names = [task["name"] for task in live.get("/api/tasks", at_work["accessToken"]).json()]
        assert names == ["before"]  # its access token names a session that the backup knows
        assert refresh(live, away["refreshToken"]).status_code == 200
        for tokens in (at_work, late):
            answer = refresh(live, tokens["refreshToken"])
            assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_grant")
        assert live.get("/api/tasks", at_work["accessToken"]).json()["errorCode"] == "A04"
        assert refresh(live, log_in(live, "work@example.com")["refreshToken"]).status_code == 200


def test_lost_keys_sign_everyone_out_and_break_nothing_else(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as live:
        tokens = new_user(live, "keys@example.com")
        live.post("/api/tasks", {"name": "kept"}, tokens["accessToken"])
    for name in ("jwt_secret_key", "refresh_token_key"):
        (tmp_path / name).unlink()
    with serving(tmp_path, workers=2) as live:
        assert live.get("/api/tasks", tokens["accessToken"]).json()["errorCode"] == "A03"
        assert refresh(live, tokens["refreshToken"]).json()["errorCode"] == "invalid_grant"
        fresh = log_in(live, "keys@example.com")
        assert [task["name"] for task in live.get("/api/tasks", fresh["accessToken"]).json()] == [
            "kept"
        ]
        sessions = live.get("/api/users/sessions", fresh["accessToken"]).json()
        assert len(sessions) == 2  # the old one is listed until it runs out or is signed out
        assert refresh(live, fresh["refreshToken"]).status_code == 200


def test_one_lost_key_costs_what_it_made(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1) as live:
        tokens = new_user(live, "one@example.com")
    (tmp_path / "jwt_secret_key").unlink()
    with serving(tmp_path, workers=1) as live:
        assert live.get("/api/tasks", tokens["accessToken"]).status_code == 401
        renewed = refresh(live, tokens["refreshToken"]).json()  # nobody has to sign in
        assert live.get("/api/tasks", renewed["accessToken"]).status_code == 200


def test_a_damaged_file_that_is_mended_in_place_is_used_again(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1) as live:
        tokens = new_user(live, "mended@example.com")
        file = tmp_path / "tasks.db"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = file.read_bytes()
        with file.open("r+b") as raw:
            raw.write(os.urandom(len(whole)))
        for _ in range(8):
            assert live.get("/api/tasks", tokens["accessToken"]).status_code == 503
        assert live.get("/health/ready").status_code == 503
        with file.open("r+b") as raw:
            raw.write(whole)
        assert live.get("/health/ready").status_code == 200
        assert {live.get("/api/tasks", tokens["accessToken"]).status_code for _ in range(8)} == {
            200
        }
        assert live.post("/api/tasks", {"name": "x"}, tokens["accessToken"]).status_code == 201
