"""Password hashes: PBKDF2-HMAC-SHA256 with a random salt for each user.

Two formats of one algorithm. The .NET original writes the bare base64 of the key and always means 100,000
iterations; every other count is written in front: ``pbkdf2-sha256$600000$<base64>``.
"""

import hmac
import os
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import pbkdf2_hmac
from unicodedata import category, normalize

ORIGINAL_ITERATIONS = 100_000
BYTES = 32  # of a key, and of a salt
MIN_LENGTH = 8
MAX_LENGTH = 256
_COUNTED = re.compile(r"pbkdf2-sha256\$([0-9]{1,9})\$")
_ROWS = [
    row[::step] for row in ("abcdefghijklmnopqrstuvwxyz", "0123456789" * 2) for step in (1, -1)
]


def weakness(password: str, email: str, first_name: str, last_name: str) -> str | None:
    """Why nobody should have ``password``, or None. Length and lists decide, not which characters it is made of.

    Source: NIST SP 800-63B, section 3.1.1.2.
    """
    folded = password.casefold()
    # As it looks: width, blanks around it and what cannot be seen count for nothing.
    plain = "".join(c for c in normalize("NFKC", folded).strip() if category(c) != "Cf")
    names = (first_name, last_name, f"{first_name} {last_name}", f"{first_name}{last_name}")
    length = len(password.encode("utf-16-le")) // 2  # as nvarchar and .NET count
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        return f"The password must have {MIN_LENGTH} to {MAX_LENGTH} characters."
    if len(set(plain)) <= 1 or any(plain in row for row in _ROWS):
        return "The password is one character or one row of characters: whoever guesses tries that first."
    if plain in _common_passwords():
        return "This password is one of the most common ones: whoever guesses tries it first."
    if folded in {email.casefold(), email.partition("@")[0].casefold()}:
        return "The password must not be your email address."
    if folded in {name.casefold() for name in names}:
        return "The password must not be your name."
    return None


@cache
def _common_passwords() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # 12 MB, for whoever signs people up

    # And the one that README tells everybody.
    return frozenset(FREQUENCY_LISTS["passwords"]) | {"tasks-demo-2026"}


@dataclass(frozen=True)
class PasswordHash:
    """What the columns Password and PasswordSalt hold."""

    password: str
    password_salt: str

    @property
    def iterations(self) -> int:
        """The count this hash was made with."""
        found = _COUNTED.match(self.password)
        return int(found[1]) if found else ORIGINAL_ITERATIONS


# Of an account that does not exist; no password made it.
NOBODY = PasswordHash("pbkdf2-sha256$1$", "")


class Hasher:
    """Makes and verifies hashes, in a time that does not tell which emails exist.

    Every verification costs the same number of iterations: as many as the dearest hash that this process
    has met, and at least ``iterations``.

    Args:
        iterations: the count of new hashes.
    """

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations
        self._cost = iterations

    def hash(self, password: str) -> PasswordHash:
        """A new hash with a new salt."""
        salt = os.urandom(BYTES)
        key = b64encode(_derive(password, salt, self.iterations)).decode()
        bare = self.iterations == ORIGINAL_ITERATIONS
        return PasswordHash(
            key if bare else f"pbkdf2-sha256${self.iterations}${key}", b64encode(salt).decode()
        )

    def verify(self, password: str, expected: PasswordHash) -> bool:
        """Whether ``password`` made ``expected``; ``NOBODY`` takes as long."""
        count = expected.iterations
        self._cost = max(self._cost, count)
        try:
            salt = b64decode(expected.password_salt)
            key = b64decode(expected.password.rpartition("$")[2])
        except ValueError:  # neither we nor the original wrote this
            salt, key = b"", b""
        derived = _derive(password, salt, count)
        if self._cost > count:
            _derive(password, salt, self._cost - count)
        return hmac.compare_digest(derived, key)


hasher_of = cache(Hasher)  # the process's, for each count


def _derive(password: str, salt: bytes, iterations: int) -> bytes:
    return pbkdf2_hmac("sha256", password.encode(), salt, iterations, BYTES)
