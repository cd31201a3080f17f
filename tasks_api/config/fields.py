"""How the text of a setting becomes its value: marshmallow's fields.

Their messages finish a sentence that begins with the setting's name, and quote nothing: the text may be a secret.
"""

import re
from collections.abc import Callable
from typing import Any

import marshmallow as ma
from limits import parse
from marshmallow import fields, validate

from .keys import MIN_KEY_BYTES

_STORAGE_URI = re.compile(r"(memory|(async\+)?(redis|rediss|memcached|mongodb)[a-z+]*)://")
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@*]+", re.IGNORECASE)


def integer(low: int, high: int) -> fields.Integer:
    """A whole number within bounds."""
    message = f"must be a whole number from {low} to {high}"
    within = validate.Range(low, high, error=message)
    return fields.Integer(validate=within, error_messages={"invalid": message})


def boolean() -> fields.Boolean:
    """True or false, in any of marshmallow's spellings."""
    return fields.Boolean(error_messages={"invalid": "must be true or false"})


class Text(fields.String):
    """Text that is not blank.

    Args:
        read: makes something else of it, or raises ValueError.
    """

    def __init__(self, read: Callable[[str], object] = str) -> None:
        super().__init__(error_messages={"invalid": "must be a text that is not empty"})
        self.read = read

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs).strip()
        if not text:
            raise self.make_error("invalid")
        try:
            return self.read(text)
        except ValueError as error:
            raise ma.ValidationError(str(error)) from None


class TextList(fields.Field[tuple[Any, ...]]):
    """Comma-separated texts, or a list in settings.cfg.

    Args:
        read: what each of them becomes.
    """

    def __init__(self, read: Callable[[str], object]) -> None:
        super().__init__(error_messages={"invalid": "must be a list, comma-separated"})
        self.each = Text(read)

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> tuple[Any, ...]:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise self.make_error("invalid")
        return tuple(
            self.each.deserialize(item) for item in items if item != "" and str(item).strip()
        )


def secret(text: str) -> bytes:
    """A key, long enough to be one."""
    key = text.encode()
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"must have at least {MIN_KEY_BYTES} bytes")
    return key


def origin(text: str) -> str:
    """A browser origin, or ``*``."""
    if not _ORIGIN.fullmatch(text):
        raise ValueError("must be origins like http://localhost:4200, comma-separated")
    return text


def rate(text: str) -> str:
    """A rate limit."""
    try:
        parse(text)
    except ValueError:
        raise ValueError("must be a rate like '10 per minute'") from None
    return text


def storage_uri(text: str) -> str:
    """A place where attempts are counted."""
    if not _STORAGE_URI.match(text):
        raise ValueError("must be a storage address such as memory:// or redis://host:6379")
    return text


def log_level(text: str) -> str:
    """A level of Python's logging."""
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text.upper()
