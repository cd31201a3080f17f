"""flask users ... and flask sessions ...: what an operator can do."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError

from tasks_api.auth import users
from tasks_api.clock import now
from tasks_api.database.engine import db, execute, fetch_all
from tasks_api.models import refresh_tokens
from tests.conftest import Person, problem
from tests.databases import embedded_only
from tests.live import code_block

Command = Callable[..., str]


@pytest.fixture
def command(app: Flask) -> Command:
    def run(*arguments: str, fails: bool = False, types: str | None = None) -> str:
        result = app.test_cli_runner().invoke(args=list(arguments), input=types)
        assert (result.exit_code != 0) is fails, result.output
        return result.output

    return run


def test_users_are_listed_with_their_sessions(
    anna: Person, bertil: Person, command: Command
) -> None:
    anna.other_device()
    command("users", "deactivate", bertil.email)
    listed = [line.split("\t") for line in command("users", "list").splitlines() if "\t" in line]
    assert [(line[1], line[2], line[4], line[5]) for line in listed] == [
        ("anna@example.com", "Anna Andersson", "active", "2"),
        ("bertil@example.com", "Anna Andersson", "inactive", "0"),
    ]


def test_the_documented_commands_work(anna: Person, bertil: Person, command: Command) -> None:
    listed = code_block("docs/operations.md", "## People and their devices").splitlines()
    lines = [line.split("#")[0].split()[3:] for line in listed]
    assert len(lines) == 6
    for words in lines:
        command(*words, types="brand new one\nbrand new one\n" if "set-password" in words else None)


@embedded_only
@pytest.mark.parametrize(
    "words", [["users", "list"], ["db", "check"], ["db", "upgrade"], ["db", "seed"]]
)
def test_a_database_that_does_not_answer_is_one_line(
    app: Flask, command: Command, words: list[str]
) -> None:
    with app.app_context():
        db.engine.dispose()
    app.extensions["settings"].database_file.write_bytes(b"no database" * 1000)
    said = command(*words, fails=True).splitlines()
    assert said[-1].startswith("Error: the database /")
    assert said[-1].endswith("tasks.db does not answer: file is not a database")


@embedded_only
def test_a_database_without_tables_is_told_what_it_lacks(app: Flask, command: Command) -> None:
    with app.app_context():
        db.engine.dispose()
    for file in app.extensions["settings"].instance_path.glob("tasks.db*"):
        file.unlink()
    assert "the schema is not current: run" in command(
        "users", "list", fails=True
    )


def test_names_cannot_write_to_the_terminal(
    person: Callable[[str], Person], command: Command
) -> None:
    evil = Person(person("anna@example.com").client, "evil@example.com")
    assert evil.sign_up(firstName="x\x1b[2J\nroot\t", lastName="\x9b31m\u202e").status_code == 201
    line = next(line for line in command("users", "list").splitlines() if "evil" in line)
    assert "x?[2J?root? ?31m?" in line


def test_a_deactivated_user_is_out_at_once_and_can_be_let_in_again(
    anna: Person, command: Command
) -> None:
    assert "is out" in command("users", "deactivate", "ANNA@example.com")
    problem(anna.call("GET", "/api/tasks"), 401, "A04")
    problem(anna.refreshed(), 400, "invalid_grant")
    problem(anna.log_in(), 401, "L02")
    command("users", "activate", anna.email)
    problem(anna.call("GET", "/api/tasks"), 401, "A04")  # the session is over, whatever comes
    assert anna.log_in().status_code == 200


def test_a_password_that_the_operator_sets_ends_every_session(
    anna: Person, command: Command
) -> None:
    assert "most common" in command(
        "users", "set-password", anna.email, types="password\npassword\n", fails=True
    )
    assert anna.is_in()
    said = command("users", "set-password", anna.email, types="brand new one\nbrand new one\n")
    assert "brand new one" not in said
    assert not anna.is_in()
    problem(anna.log_in(), 401, "L02")
    anna.password = "brand new one"
    assert anna.log_in().status_code == 200


def test_sessions_are_listed_and_ended(anna: Person, command: Command) -> None:
    phone, tablet = anna.other_device(), anna.other_device()
    listed = [
        line.split("\t")
        for line in command("sessions", "list", anna.email).splitlines()
        if "\t" in line
    ]
    assert len(listed) == 3
    assert listed[0][4] == "127.0.0.1"
    ids = {
        entry["sessionId"]: entry["current"]
        for entry in phone.call("GET", "/api/users/sessions").get_json()
    }
    current = next(session_id for session_id, here in ids.items() if here)
    command("sessions", "end", anna.email, current)
    assert [anna.is_in(), phone.is_in(), tablet.is_in()] == [True, False, True]
    assert "no such session" in command("sessions", "end", anna.email, current, fails=True)
    command("sessions", "end", anna.email)
    assert [anna.is_in(), tablet.is_in()] == [False, False]


@pytest.mark.parametrize(
    "words",
    [("users", "activate"), ("users", "deactivate"), ("sessions", "list"), ("sessions", "end")],
)
def test_an_unknown_user_gets_a_sentence(
    app: Flask, command: Command, words: tuple[str, ...]
) -> None:
    assert (
        command(*words, "nobody@example.com", fails=True)
        == "Error: there is no user nobody@example.com\n"
    )


def expired(app: Flask, count: int) -> None:
    with app.app_context():
        user_id, past = 1, now() - timedelta(days=1)
        for _ in range(count):
            row = {
                "user_id": user_id,
                "token_hash": "x",
                "token_salt": "x",
                "ts": past,
                "expiry_date": past,
            }
            execute(insert(refresh_tokens).values(row))


def left(app: Flask) -> int:
    with app.app_context():
        return len(fetch_all(select(refresh_tokens.c.id)))


def test_purging_deletes_what_ran_out_and_nothing_else(
    app: Flask, anna: Person, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks_api.auth.commands.PURGED_AT_ONCE", 2)
    expired(app, 5)
    assert "5 purged" in command("sessions", "purge")
    assert left(app) == 1
    assert anna.is_in()


def test_each_login_purges_a_little(
    app: Flask, anna: Person, bertil: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "PURGED_AT_LOGIN", 3)
    expired(app, 5)
    bertil.log_in()
    assert left(app) == 2 + 1 + 2


def test_a_purge_that_fails_refuses_no_login(anna: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_most: int) -> int:
        raise OperationalError("DELETE", {}, Exception("locked"))

    monkeypatch.setattr(users, "purge", fail)
    assert anna.log_in().status_code == 200


def test_a_session_that_runs_out_now_is_not_purged_early(
    app: Flask, anna: Person, command: Command
) -> None:
    with app.app_context():
        execute(update(refresh_tokens).values(expiry_date=now() + timedelta(minutes=1)))
    assert "0 purged" in command("sessions", "purge")
