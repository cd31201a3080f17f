"""flask users ... and flask sessions ...: what an operator can do."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask

from tasks_api.database.tables import session_table, task_table, user_table
from tests.conftest import MakeApp, Person, joined, problem, said
from tests.live import code_block

Command = Callable[..., str]


@pytest.fixture
def command(app: Flask) -> Command:
    return partial(said, app)


def test_a_deactivated_user_has_no_session_and_cannot_log_in_until_activated(
    anna: Person, bertil: Person, command: Command
) -> None:
    command("users", "deactivate", "BERTIL@example.com")
    assert anna.is_in()
    problem(bertil.log_in(), 401, "L02")
    command("users", "activate", bertil.email)
    assert not bertil.is_in()
    assert bertil.log_in().status_code == 200


@pytest.mark.usefixtures("anna", "bertil")
def test_the_documented_commands_work(command: Command) -> None:
    listed = code_block("docs/operations.md", "## People and their devices").splitlines()
    assert listed
    for line in listed:
        words = line.split("#")[0].split()[3:]
        command(
            *words, types="brand new one\nbrand new one\n" if "set-password" in words else None
        )


def test_a_password_that_the_operator_sets_ends_all_sessions(
    anna: Person, command: Command
) -> None:
    set_password = partial(command, "users", "set-password", anna.email)
    assert "common password" in set_password(types="password\npassword\n", fails=True)
    assert "not text" in set_password("--password", "\udcff" * 9, fails=True)
    assert anna.is_in()
    assert "brand new one" not in set_password(types="brand new one\nbrand new one\n")
    assert not anna.is_in()
    problem(anna.log_in(), 401, "L02")
    anna.password = "brand new one"
    assert anna.log_in().status_code == 200


def test_the_operator_ends_all_sessions_of_a_user(
    anna: Person, bertil: Person, command: Command
) -> None:
    phone = anna.other_device()
    command("sessions", "end", anna.email)
    assert [anna.is_in(), phone.is_in(), bertil.is_in()] == [False, False, True]


def test_an_export_has_all_columns_but_hashes_and_salts_and_no_log_lines(
    capsys: pytest.CaptureFixture[str], make_app: MakeApp
) -> None:
    anna = joined(app := make_app())
    anna.add_task("\x9b31m\u202e")  # which would control a terminal
    text = said(app, "users", "export", "ANNA@example.com")
    assert text.isascii()
    exported = json.loads(text)
    secrets = {"Password", "PasswordSalt", "TokenHash", "TokenSalt"}
    for table in (user_table, task_table, session_table):
        (row,) = exported[table.name]
        assert row.keys() == {column.name for column in table.c} - secrets
    assert "user_exported" in capsys.readouterr().err


def test_a_user_is_deleted_after_a_confirmation(anna: Person, command: Command) -> None:
    delete = partial(command, "users", "delete", "ANNA@example.com")
    delete(types="n\n", fails=True)
    assert anna.is_in()
    delete(types="y\n")
    assert not anna.is_in()


def test_an_unknown_user_is_a_sentence(command: Command) -> None:
    refusal = command("users", "activate", "unknown@example.com", fails=True)
    assert refusal == "Error: There is no user unknown@example.com.\n"


def test_a_purge_deletes_expired_sessions_alone(
    clock: Any, anna: Person, bertil: Person, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks_api.auth.commands.PURGED_AT_ONCE", 1)
    anna.other_device()
    clock.shift(timedelta(days=14))
    bertil.log_in()
    assert "0 purged" in command("sessions", "purge")  # a refresh may be under way
    clock.shift(60)
    assert "2 purged" in command("sessions", "purge")
    assert bertil.is_in()
