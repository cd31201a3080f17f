"""Cursors that a connection keeps, so that a statement stays prepared. test_on_sqlserver.py counts the round trips."""

from contextlib import closing, suppress
from typing import Any
from unittest.mock import Mock

import pytest

from tasks_api.database.statements import MAX_KEPT, KeptCursor


class Connection:
    """A pooled connection, with all cursors that it made."""

    def __init__(self) -> None:
        self.info: dict[str, Any] = {}
        self.cursors: list[Mock] = []

    def cursor(self) -> Mock:
        cursor = Mock()
        cursor.nextset.side_effect = [True, False] * 2  # each statement has two results
        self.cursors.append(cursor)
        return cursor

    def kept(self) -> KeptCursor:
        return KeptCursor(self, self.info)

    def run(self, sql: str) -> None:
        with closing(self.kept()) as cursor:
            cursor.execute(sql)


def executed(cursor: Mock) -> list[str]:
    return [call.args[0] for call in cursor.execute.call_args_list]


@pytest.fixture
def connection() -> Connection:
    return Connection()


def test_equal_statements_share_a_cursor(connection: Connection) -> None:
    for parts in (["SELECT ", "1"], ["SELECT", " 1"]):
        connection.run("".join(parts))
    connection.run("SELECT 2")
    assert len(connection.cursors) == 2


def test_parameters_are_declared(connection: Connection) -> None:
    with closing(connection.kept()) as cursor:
        cursor.setinputsizes([1])
        cursor.execute("SELECT ?", 1)
    connection.cursors[0].setinputsizes.assert_called_once_with([1])


def test_two_statements_at_a_time_have_a_cursor_each(connection: Connection) -> None:
    with closing(connection.kept()) as first:
        first.execute("SELECT 1")
        connection.run("SELECT 1")
    assert len(connection.cursors) == 2


def test_all_results_are_read_before_a_cursor_is_kept(connection: Connection) -> None:
    connection.run("SELECT 1")
    assert connection.cursors[0].nextset.call_count == 2


def test_the_cursor_that_was_not_used_for_longest_makes_room(connection: Connection) -> None:
    for number in range(MAX_KEPT):
        connection.run(f"SELECT {number}")
    connection.run("SELECT 0")
    connection.run("SELECT 'one too many'")
    closed = [executed(cursor) for cursor in connection.cursors if cursor.close.called]
    assert closed == [["SELECT 1"]]


@pytest.mark.parametrize("method", ["execute", "nextset"])
def test_a_cursor_that_failed_is_closed(connection: Connection, method: str) -> None:
    connection.run("SELECT 1")
    (kept,) = connection.cursors
    getattr(kept, method).side_effect = OSError("the connection broke")
    with suppress(OSError):
        connection.run("SELECT 1")
    kept.close.assert_called_once()
    connection.run("SELECT 1")
    assert len(connection.cursors) == 2
