"""Validation and comparison of email addresses."""

from unicodedata import category, normalize

from marshmallow import ValidationError, validate

_check_form = validate.Email()


def malformation(email: str) -> str | None:
    """Return why ``email`` is not accepted for an account, or None."""
    if not email.isascii():  # databases compare the case of other letters differently
        return "must be an email address in ASCII (write the domain in its xn-- form)"
    try:
        _check_form(email)
    except ValidationError:
        return "must be an email address"
    # validate.Email accepts control characters in quotes.
    return None if email.isprintable() else "must be an email address"


def are_same(one: str, other: str) -> bool:
    """Return True if two addresses differ only in the case of ASCII letters and in whitespace around them."""
    return _folded(one) == _folded(other)


def _folded(email: str) -> bytes:
    return email.strip().encode().lower()  # lower() of bytes changes ASCII letters alone


def counting_key(email: str) -> str:
    """Return the text by which failed logins with this email are counted.

    It does not depend on whether the account exists, and it is the same for all spellings that a database can take for
    the same email: case, accents, width and invisible characters do not count.
    """
    decomposed = normalize("NFKD", normalize("NFKD", email).casefold())
    return "".join(letter for letter in decomposed if category(letter)[0] not in "CM")
