"""Email addresses: which are accepted, and which are the same."""

from marshmallow import ValidationError, validate

_check_form = validate.Email()


def malformation(email: str) -> str | None:
    """Say why ``email`` is not accepted for an account, or return None."""
    if not email.isascii():  # only ASCII has the same upper and lower case in all databases
        return "must be an email address in ASCII (write the domain in its xn-- form)"
    try:
        _check_form(email)
    except ValidationError:
        return "must be an email address"
    # The form allows control characters in quotes.
    return None if email.isprintable() else "must be an email address"


def are_same(one: str, other: str) -> bool:
    """Tell whether two addresses differ only in the case of ASCII letters and in blanks around them."""
    return _folded(one) == _folded(other)


def _folded(email: str) -> bytes:
    return email.strip().encode().lower()  # lower() of bytes changes ASCII letters alone
