"""The time in UTC, in the two precisions that the database keeps.

Code that stores or compares times of the database gets the time from this module.
"""

from datetime import UTC, datetime, timedelta

SMALLDATETIME_MIN = datetime(1900, 1, 1, tzinfo=UTC)
SMALLDATETIME_END = datetime(2079, 6, 6, 23, 59, 29, 999_000, tzinfo=UTC)


def now() -> datetime:
    """Return the time in UTC, to the millisecond (datetime2(3))."""
    return to_milliseconds(datetime.now(UTC))


def current_minute() -> datetime:
    """Return the start of this minute, to compare with a smalldatetime: the column's type would round ``now()`` up."""
    return now().replace(second=0, microsecond=0)


def now_as_smalldatetime() -> datetime:
    """Return the time, rounded to the minute as SQL Server rounds it."""
    return to_smalldatetime(now())


def to_milliseconds(moment: datetime) -> datetime:
    """Cut ``moment`` to milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_smalldatetime(moment: datetime) -> datetime:
    """Round to the minute as SQL Server does for smalldatetime: 29.999 seconds or more round up, less round down.

    Source: https://learn.microsoft.com/sql/t-sql/data-types/smalldatetime-transact-sql

    Raises:
        ValueError: outside smalldatetime's range, 1900-01-01 to 2079-06-06.
    """
    if not SMALLDATETIME_MIN <= moment < SMALLDATETIME_END:
        raise ValueError("outside 1900-01-01 to 2079-06-06")
    return (moment + timedelta(seconds=30.001)).replace(second=0, microsecond=0)
