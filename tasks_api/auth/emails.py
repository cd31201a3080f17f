"""Email addresses: what is none, and which are the same."""

from marshmallow import ValidationError, validate

_looks_like_one = validate.Email()


def malformation(email: str) -> str | None:
    """Why ``email`` cannot be that of a user who is new here, if so."""
    if not email.isascii():  # whose case folds alike on every database
        return "must be an email address in ASCII (write the domain in its xn-- form)"
    try:
        _looks_like_one(email)
    except ValidationError:
        return "must be an email address"
    # In quotes control characters would do for the RFC.
    return None if email.isprintable() else "must be an email address"


def are_same(one: str, other: str) -> bool:
    """Whether two addresses differ in nothing but the case of ASCII letters and blanks around them."""
    return _folded(one) == _folded(other)


def _folded(email: str) -> bytes:
    return email.strip().encode().lower()  # of bytes, ASCII letters alone
