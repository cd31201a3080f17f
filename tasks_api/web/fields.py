"""The types of members of bodies and queries: which values JSON may have for them."""

import re
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from marshmallow import fields

from ..clock import now, to_smalldatetime

# What .NET reads: date, time to the minute or finer with up to sixteen digits, offset of hours or minutes, or none.
_ISO_8601 = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:(T\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?)(?:(?<=\.\d{7})\d{1,9})?(Z|[+-]\d\d(?::\d\d)?)?)?",
    re.ASCII,
)


class Text(fields.String):
    """Text of 1 to ``most`` UTF-16 units.

    Args:
        most: the length of its column.
        blank: whether blanks alone are something.
        strip: whether blanks around it count for nothing.
    """

    def __init__(
        self,
        most: int,
        *,
        blank: bool = False,
        strip: bool = False,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        lengths = {"minLength": 1, "maxLength": most}
        super().__init__(metadata=lengths | (metadata or {}), **kwargs)
        self.most = most
        self.blank = blank
        self.strip = strip

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        stripped = text.strip()
        text = stripped if self.strip else text
        if not (text if self.blank else stripped):
            raise ma.ValidationError("is missing")
        if len(text.encode("utf-16-le")) // 2 > self.most:
            raise ma.ValidationError(f"must have at most {self.most} characters")
        if "\0" in text:
            raise ma.ValidationError("must not contain the character NUL")
        return text


class Boolean(fields.Boolean):
    """JSON's true and false, and nothing that looks like them."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ma.ValidationError("must be true or false")
        return value


class QueryInteger(fields.Integer):
    """Decimal digits."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        text = str(value)
        if not (text.isascii() and text.isdecimal() and len(text) <= 10):
            raise ma.ValidationError("must be a whole number")
        return int(text)


def this_minute() -> datetime:
    """Now, as a smalldatetime."""
    return to_smalldatetime(now())


class Timestamp(fields.DateTime):
    """A time in ISO 8601 that fits smalldatetime. Without an offset it is UTC."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> datetime:
        found = _ISO_8601.fullmatch(value) if isinstance(value, str) else None
        if not found:
            raise ma.ValidationError("must be a time like 2026-01-31T12:00:00Z")
        try:
            date, time, offset = found.groups()
            moment = datetime.fromisoformat(date + (time or "T00:00") + (offset or "Z"))
            return to_smalldatetime(moment.astimezone(UTC))
        except (ValueError, OverflowError):
            raise ma.ValidationError("must be a time from 1900-01-01 to 2079-06-06") from None
