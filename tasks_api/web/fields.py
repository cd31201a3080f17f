"""The members of request bodies and queries, and ids in paths: which values they accept.

The member's name is put before each message: "name is missing".
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from marshmallow import fields
from werkzeug.routing import BaseConverter

from ..clock import to_smalldatetime
from ..database.tables import MAX_ID

_MISSING: dict[str, Any] = {"required": "is missing", "null": "must not be null"}


class Text(fields.String):
    """Text of at least one character.

    Args:
        max_length: in UTF-16 units, as nvarchar counts.
        blank: whether whitespace alone is accepted.
        strip: whether whitespace around the text is removed.
    """

    default_error_messages = _MISSING | {"invalid": "must be text"}

    def __init__(
        self,
        max_length: int,
        *,
        blank: bool = False,
        strip: bool = False,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        lengths = {"minLength": 1, "maxLength": max_length}
        super().__init__(metadata=lengths | dict(metadata or {}), **kwargs)
        self.max_length = max_length
        self.blank = blank
        self.strip = strip

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if self.strip:
            text = text.strip()
        if not (text if self.blank else text.strip()):
            raise self.make_error("required")
        if len(text.encode("utf-16-le")) // 2 > self.max_length:
            raise ma.ValidationError(f"must have at most {self.max_length} characters")
        if "\0" in text:
            raise ma.ValidationError("must not contain the character NUL")
        return text


class Boolean(fields.Boolean):
    """JSON's true or false."""

    default_error_messages = _MISSING | {"invalid": "must be true or false"}

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Integer(fields.Integer):
    """A JSON number without fraction."""

    default_error_messages = _MISSING | {"invalid": "must be a whole number"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strict=True, **kwargs)


def _id_of(number: int) -> int:
    """Return the id, or -1, which no row has, if the column cannot hold it."""
    return number if abs(number) <= MAX_ID else -1


class Id(Integer):
    """The id of a row in a body. 0 counts as missing, because .NET clients send it if they have none."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        number = super()._deserialize(value, *args, **kwargs)
        if number == 0:
            raise self.make_error("required")
        return _id_of(number)


class IdConverter(BaseConverter):
    """The id of a row in a path: ``<id:task_id>``. A text that is not a number is read as 0."""

    def to_python(self, value: str) -> int:
        """Return the id."""
        return _id_of(int(value[:20])) if re.fullmatch("-?[0-9]+", value) else 0


class QueryInteger(Integer):
    """A whole number in a query: decimal digits."""

    default_error_messages = _MISSING | {"invalid": "must be a whole number, 0 or more"}

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> int:
        text = str(value)
        if not (text.isascii() and text.isdecimal()):
            raise self.make_error("invalid")
        return min(int(text[:20]), MAX_ID)  # int() refuses thousands of digits


class QueryBoolean(fields.Boolean):
    """true or false in a query, in lower case, upper case or as .NET writes them."""

    default_error_messages = _MISSING | {"invalid": "must be true or false"}
    truthy = {"true", "True", "TRUE"}  # noqa: RUF012
    falsy = {"false", "False", "FALSE"}  # noqa: RUF012


class Timestamp(fields.DateTime):
    """A time in ISO 8601, rounded to the minute. Without an offset it is UTC."""

    default_error_messages = _MISSING | {"invalid": "must be a time like 2026-01-31T12:00:00Z"}

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> datetime:
        # fromisoformat alone would also accept other separators than T, and dates without hyphens.
        if not isinstance(value, str) or value[4:5] != "-" or value[10:11] not in ("", "T"):
            raise self.make_error("invalid")
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise self.make_error("invalid") from None
        try:
            return to_smalldatetime(moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC))
        except (ValueError, OverflowError):
            raise ma.ValidationError("must be a time from 1900-01-01 to 2079-06-06") from None
