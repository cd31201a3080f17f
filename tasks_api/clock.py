"""The time, in the two precisions that the database keeps.

Every "now" of the service comes from here, in UTC, so a test that moves the clock moves all of it.
"""

from datetime import UTC, datetime, timedelta

SMALLDATETIME_MIN = datetime(1900, 1, 1, tzinfo=UTC)
SMALLDATETIME_END = datetime(2079, 6, 6, 23, 59, 29, 999_000, tzinfo=UTC)


def now() -> datetime:
    """The time in UTC, to the millisecond (datetime2(3))."""
    return to_milliseconds(datetime.now(UTC))


def minute_begun() -> datetime:
    """The minute that has begun: a smalldatetime is past exactly if it is not after that."""
    return now().replace(second=0, microsecond=0)


def to_milliseconds(moment: datetime) -> datetime:
    """``moment`` without what is finer than a millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_smalldatetime(moment: datetime) -> datetime:
    """Round to the minute as SQL Server does for smalldatetime.

    Up to 29.998 seconds go down and 29.999 seconds go up:
    https://learn.microsoft.com/sql/t-sql/data-types/smalldatetime-transact-sql

    Raises:
        ValueError: outside 1900-01-01 to 2079-06-06, smalldatetime's range.
    """
    if not SMALLDATETIME_MIN <= moment < SMALLDATETIME_END:
        raise ValueError("outside 1900-01-01 to 2079-06-06")
    return (moment + timedelta(seconds=30.001)).replace(second=0, microsecond=0)
