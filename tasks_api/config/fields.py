"""The kinds of settings: how the text of one becomes its value, with marshmallow's fields.

A message finishes a sentence that begins with the setting's name, and quotes nothing: the text may be a secret.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import marshmallow as ma
from limits import RateLimitItem, parse_many
from marshmallow import fields, validate

# An @ that is not the last of user and password would make a part of the password a host.
_STORAGE_URI = re.compile(
    r"memory://|rediss?://([^/?#]*@)?[^/?#@]*(/\d*)?(\?[^#@]*)?|redis\+unix:///[^?#@]+(\?[^#@]*)?"
)
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@*]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Text(fields.String):
    """Text that is not blank.

    Args:
        read: makes something else of it, or raises ValueError.
    """

    def __init__(self, read: Callable[[str], object]) -> None:
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


class Texts(Text):
    """The same, comma-separated or as a list."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise ma.ValidationError("must be a list, comma-separated")
        read = super()._deserialize
        return tuple(
            read(item, *args, **kwargs)
            for item in items
            if not isinstance(item, str) or item.strip()
        )


def row(
    default: object, read: fields.Field[Any], meaning: str, shown: str = "", **more: Any
) -> Any:
    """A row of the table of settings.

    Args:
        default: the value if nothing is set.
        read: how the text becomes the value.
        meaning: for people.
        shown: what people read as the default, if not ``default`` itself.
        more: ``repr=False`` keeps the value out of what is shown.
    """
    if not shown:
        shown = "none" if default in (None, ()) else f"`{default}`"
    return field(
        default=default, metadata={"read": read, "meaning": meaning, "shown": shown}, **more
    )


def integer(default: int, low: int, high: int, meaning: str) -> Any:
    """A whole number within bounds."""
    message = f"must be a whole number from {low} to {high}"
    within = validate.Range(low, high, error=message)
    return row(
        default, fields.Integer(validate=within, error_messages={"invalid": message}), meaning
    )


def switch(default: bool | None, meaning: str, shown: str = "`true`") -> Any:
    """True or false, in any of marshmallow's spellings."""
    read = fields.Boolean(error_messages={"invalid": "must be true or false"})
    return row(default, read, meaning, shown)


def secret(
    meaning: str, read: Callable[[str], object], shown: str = "generated in `instance/`"
) -> Any:
    """Something that must not be seen."""
    return row(None, Text(read), meaning, shown, repr=False)


def secrets(meaning: str, read: Callable[[str], object]) -> Any:
    """Several of them."""
    return row((), Texts(read), meaning, repr=False)


def rate(default: str, meaning: str) -> Any:
    """A limit of attempts."""
    return row(read_rate(default), Text(read_rate), meaning, f"`{default}`")


def read_rate(text: str) -> RateLimitItem:
    """A number of attempts in a time."""
    with suppress(ValueError):
        (found,) = parse_many(text)
        return found
    raise ValueError("must be a rate like '10 per minute'")


def read_origin(text: str) -> str:
    """A browser origin, or ``*``."""
    if not _ORIGIN.fullmatch(text):
        raise ValueError("must be origins like http://localhost:4200, comma-separated")
    parts = urlsplit(text)
    if parts.scheme in _DEFAULT_PORTS:
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{ip_address(host)}]"
        port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
        if text != f"{parts.scheme}://{host}{port}" or not (host and host.isascii()):
            raise ValueError(
                "must be origins as browsers send them: lower case, xn-- names, no default port"
            )
    return text


def read_storage_uri(text: str) -> str:
    """A place where attempts are counted."""
    if not _STORAGE_URI.fullmatch(text):
        raise ValueError(
            "must be memory:// or like redis://:password@host:6379/0; in a password %2F is /, %40 is @"
        )
    return text


def read_samesite(text: str) -> str:
    """A value of the cookie's SameSite."""
    if text.title() not in ("Strict", "Lax", "None"):
        raise ValueError("must be Strict, Lax or None")
    return text.title()


def read_log_level(text: str) -> str:
    """A level of Python's logging."""
    if text.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return text.upper()
