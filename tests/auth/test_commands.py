"""flask users ... and flask sessions ...: what an operator can do."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from tasks_api.auth import users
from tasks_api.auth.refresh_tokens import decode
from tasks_api.database.engine import db
from tasks_api.database.tables import session_table, task_table, user_table
from tasks_api.database.tables import users as user_table
from tests.conftest import MakeApp, Person, problem, said
from tests.databases import embedded_only
from tests.live import code_block

Command = Callable[..., str]


@pytest.fixture
def command(app: Flask) -> Command:
    return partial(said, app)


def cells(output: str) -> list[list[str]]:
    return [line.split("\t") for line in output.splitlines() if "\t" in line]


def test_users_are_listed_with_their_sessions(
    anna: Person, bertil: Person, command: Command
) -> None:
    anna.other_device()
    command("users", "deactivate", bertil.email)
    listed = cells(command("users", "list"))
    assert [(line[1], line[2], line[4], line[5]) for line in listed] == [
        ("anna@example.com", "Anna Andersson", "active", "2"),
        ("bertil@example.com", "Anna Andersson", "inactive", "0"),
    ]


def test_the_documented_commands_work(anna: Person, bertil: Person, command: Command) -> None:
    listed = code_block("docs/operations.md", "## People and their devices").splitlines()
    lines = [line.split("#")[0].split()[3:] for line in listed]
    assert len(lines) == 8
    for words in lines:
        command(*words, types="brand new one\nbrand new one\n" if "set-password" in words else None)


@embedded_only
@pytest.mark.parametrize("words", [["users", "list"], ["db", "check"]])
def test_a_database_that_does_not_answer_is_one_line(
    app: Flask, command: Command, words: list[str]
) -> None:
    with app.app_context():
        db.engine.dispose()
    app.extensions["settings"].database_file.write_bytes(b"no database" * 1000)
    *_, last = command(*words, fails=True).splitlines()
    assert last.startswith("Error: the database /")
    assert last.endswith("tasks.db does not answer: file is not a database")


def test_a_database_without_tables_is_told_what_it_lacks(make_app: MakeApp) -> None:
    app = make_app(UPGRADE_ON_START="false")
    assert "the schema is not current: run" in said(app, "users", "list", fails=True)


def test_names_cannot_write_to_the_terminal(client: FlaskClient, command: Command) -> None:
    Person(client).sign_up(firstName="x\x1b[2J\nroot\t", lastName="\x9b31m\u202e")
    assert "x?[2J?root? ?31m?" in command("users", "list")


def test_a_deactivated_user_is_out_until_let_in_again(anna: Person, command: Command) -> None:
    assert "is out" in command("users", "deactivate", "ANNA@example.com")
    problem(anna.log_in(), 401, "L02")
    command("users", "activate", anna.email)
    assert not anna.is_in()  # the session is over, whatever comes
    assert anna.log_in().status_code == 200


def test_a_password_that_the_operator_sets_ends_every_session(
    anna: Person, command: Command
) -> None:
    words = ("users", "set-password", anna.email)
    assert "most common" in command(*words, types="password\npassword\n", fails=True)
    assert "8 to 256" in command(*words, "--password", "x" * 257, fails=True)
    assert "no text" in command(*words, "--password", "\udcff" * 9, fails=True)
    assert anna.is_in()
    assert "brand new one" not in command(*words, types="brand new one\nbrand new one\n")
    assert not anna.is_in()
    problem(anna.log_in(), 401, "L02")
    anna.password = "brand new one"
    assert anna.log_in().status_code == 200


def test_sessions_are_listed_and_ended(anna: Person, command: Command) -> None:
    phone, tablet = anna.other_device(), anna.other_device()
    listed = cells(command("sessions", "list", anna.email))
    assert [line[4] for line in listed] == ["127.0.0.1"] * 3
    words = ("sessions", "end", anna.email)
    phones = str(decode(phone.refresh).session_id)
    command(*words, phones)
    assert [anna.is_in(), phone.is_in(), tablet.is_in()] == [True, False, True]
    assert "no such session" in command(*words, phones, fails=True)
    command(*words)
    assert [anna.is_in(), tablet.is_in()] == [False, False]


def test_all_that_is_stored_about_a_user_is_exported_but_hashes_and_salts(
    anna: Person, bertil: Person, command: Command
) -> None:
    for somebody in (anna, bertil):
        somebody.add_task("x\x9b31m")
    exported = command("users", "export", "ANNA@example.com")
    assert exported.isascii()  # names cannot write to the terminal
    told = json.loads(exported)
    secrets = {"Password", "PasswordSalt", "TokenHash", "TokenSalt"}
    for table in (user_table, task_table, session_table):
        (row,) = told.pop(table.name)
        assert row.keys() == {each.name for each in table.c} - secrets
        assert row["Id" if table is user_table else "UserId"] == anna.user_id
    assert not told


def test_a_user_is_deleted_by_whoever_says_yes(
    anna: Person, bertil: Person, command: Command
) -> None:
    words = ("users", "delete", "ANNA@example.com")
    command(*words, types="n\n", fails=True)
    assert anna.is_in()
    assert "is deleted" in command(*words, types="y\n")
    assert not anna.is_in()
    assert "is deleted" in command("users", "delete", bertil.email, "--yes")
    assert command("users", "list") == ""


@pytest.mark.parametrize(
    "words",
    [
        ("users", "activate"),
        ("users", "delete", "--yes"),
        ("users", "export"),
        ("sessions", "end"),
    ],
)
def test_an_unknown_user_gets_a_sentence(command: Command, words: tuple[str, ...]) -> None:
    refusal = command(*words, "nobody@example.com", fails=True)
    assert refusal == "Error: there is no user nobody@example.com\n"
    assert "no text" in command(*words, "\udcff@example.com", fails=True)


def test_purging_deletes_what_ran_out_and_nothing_else(
    anna: Person, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks_api.auth.commands.PURGED_AT_ONCE", 2)
    with time_machine.travel("2020-05-01T12:00:00Z", tick=False) as clock:
        for _ in range(3):
            anna.other_device()
        clock.shift(timedelta(days=14))
        assert "0 purged" in command("sessions", "purge")  # a refresh may be under way
        clock.shift(60)
        assert "3 purged" in command("sessions", "purge")
    assert anna.is_in()


def test_each_login_purges_a_little(
    anna: Person, bertil: Person, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "PURGED_AT_LOGIN", 3)
    with time_machine.travel("2020-05-01T12:00:00Z"):
        for _ in range(5):
            anna.other_device()
    bertil.log_in()
    assert "2 purged" in command("sessions", "purge")


def test_a_purge_that_fails_refuses_no_login(anna: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_most: int) -> int:
        raise OperationalError("DELETE", {}, Exception("locked"))

    monkeypatch.setattr(users, "purge", fail)
    assert anna.log_in().status_code == 200
