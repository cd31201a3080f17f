"""Statements that a connection keeps prepared: which, how many, and what is never kept."""

from contextlib import closing
from typing import Any

import pytest

from tasks_api.database.statements import MOST, KeptCursor, keep


class Cursor:
    """The driver's; each statement has two results."""

    def __init__(self) -> None:
        self.executed: list[str] = []
        self.sizes: object = None
        self.results = 1
        self.failure: Exception | None = None
        self.is_closed = False

    def setinputsizes(self, sizes: object) -> None:
        self.sizes = sizes

    def execute(self, sql: str, *_parameters: object) -> None:
        self.executed.append(sql)
        self.results = 2
        if "WRONG" in sql:
            raise OSError("refused")

    def nextset(self) -> bool:
        if self.failure:
            raise self.failure
        self.results -= 1
        return bool(self.results)

    def close(self) -> None:
        self.is_closed = True


class Driver:
    """A connection, and all cursors that it ever gave."""

    def __init__(self) -> None:
        self.info: dict[str, Any] = {}
        self.cursors: list[Cursor] = []
        keep(self)  # type: ignore[arg-type]

    def cursor(self) -> Cursor:
        self.cursors.append(Cursor())
        return self.cursors[-1]

    def run(self, sql: str) -> None:
        with closing(KeptCursor(self)) as cursor:
            cursor.execute(sql)

    def open_cursors(self) -> list[list[str]]:
        return [cursor.executed for cursor in self.cursors if not cursor.is_closed]


@pytest.fixture
def driver() -> Driver:
    return Driver()


def test_a_text_has_a_cursor_of_its_own_and_keeps_its_very_object(driver: Driver) -> None:
    texts = ["SELECT 1", "SELECT 2", "".join(["SELECT", " 1"])]
    for text in texts:
        driver.run(text)
    one, two = driver.open_cursors()
    assert one == ["SELECT 1"] * 2
    assert one[1] is texts[0]
    assert two == ["SELECT 2"]


def test_parameters_have_their_types_each_time(driver: Driver) -> None:
    for sizes in ([1], [2]):
        cursor = KeptCursor(driver)
        cursor.setinputsizes(sizes)
        cursor.execute("SELECT ?", 1)
        assert driver.cursors[0].sizes == sizes
        cursor.close()


def test_two_at_a_time_have_a_cursor_each(driver: Driver) -> None:
    first = KeptCursor(driver)
    first.execute("SELECT 1")
    driver.run("SELECT 1")
    assert len(driver.cursors) == 2
    first.close()


def test_what_nobody_has_read_is_read_before_a_cursor_rests(driver: Driver) -> None:
    driver.run("SELECT 1")
    assert driver.cursors[0].results == 0


def test_no_more_than_some_are_kept_and_the_one_that_rests_longest_goes(driver: Driver) -> None:
    for number in range(MOST):
        driver.run(f"SELECT {number}")
    driver.run("SELECT 0")
    driver.run("SELECT 'one too many'")
    assert [cursor.executed for cursor in driver.cursors if cursor.is_closed] == [["SELECT 1"]]


def test_a_cursor_that_failed_is_not_kept(driver: Driver) -> None:
    with pytest.raises(OSError, match="refused"):
        driver.run("WRONG")
    late = KeptCursor(driver)
    late.execute("SELECT 1")
    driver.cursors[-1].failure = OSError("the line broke")
    late.close()
    assert not driver.open_cursors()
    driver.run("SELECT 1")
    assert len(driver.cursors) == 3
