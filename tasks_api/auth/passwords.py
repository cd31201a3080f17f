"""Password hashes: PBKDF2-HMAC-SHA256 with a random salt for each user.

There are two formats. The .NET original writes the base64 of the key, and always uses 100,000 iterations. With another
number of iterations the format is ``pbkdf2-sha256$600000$<base64>``.
"""

import hmac
import os
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import pbkdf2_hmac
from threading import Lock
from unicodedata import normalize

ORIGINAL_ITERATIONS = 100_000
BYTES = 32  # of a key, and of a salt
MIN_LENGTH = 8
MAX_LENGTH = 256
MIN_SCORE = 2  # zxcvbn's, of 0 to 4: more than 10**6 guesses
# zxcvbn's time grows fast with the length: up to 0.4 s for 24 characters, 3 s for 72.
ZXCVBN_LENGTH = 24
_zxcvbn_lock = Lock()  # zxcvbn keeps the personal words in a global variable
DEMO_PASSWORD = "Tasks-demo-2026"  # of the seed data, in README
_COUNTED = re.compile(r"pbkdf2-sha256\$([1-9][0-9]{0,8})\$")


def weakness(password: str, *personal: str) -> str | None:
    """Return why ``password`` is not accepted, or None. Checks length and guessability, not kinds of characters.

    Source: NIST SP 800-63B, section 3.1.1.2.

    Args:
        password: in plain text.
        personal: the user's email and names, which are guessed first.
    """
    from zxcvbn import zxcvbn  # loaded at the first signup, because its lists take 12 MB

    length = len(password.encode("utf-16-le")) // 2  # as nvarchar and .NET count
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        return f"The password must have {MIN_LENGTH} to {MAX_LENGTH} characters."
    # NFKC turns full-width letters into ASCII letters.
    plain = normalize("NFKC", password)[:ZXCVBN_LENGTH]
    with _zxcvbn_lock:
        found = zxcvbn(plain, [each[:ZXCVBN_LENGTH] for each in (*personal, DEMO_PASSWORD)])
    if found["score"] < MIN_SCORE:
        return found["feedback"]["warning"] or "This password is easy to guess."
    return None


@dataclass(frozen=True)
class PasswordHash:
    """The columns Password and PasswordSalt of a user."""

    password: str
    password_salt: str

    @property
    def iterations(self) -> int:
        """The number of iterations that made this hash."""
        found = _COUNTED.match(self.password)
        return int(found[1]) if found else ORIGINAL_ITERATIONS


# A hash that no password matches. It is verified if there is no such account, so that the check takes the same time.
UNKNOWN_USER = PasswordHash("pbkdf2-sha256$1$", "")


class Hasher:
    """Makes and verifies hashes. Verification takes the same time for every user and for unknown emails.

    Every verification takes the same number of iterations: the largest number that this process has seen in a hash, and
    at least ``iterations``.

    Args:
        iterations: for new hashes.
    """

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations
        self._most_iterations = iterations

    def hash(self, password: str) -> PasswordHash:
        """Make a hash with a new salt."""
        salt = os.urandom(BYTES)
        key = b64encode(_derive(password, salt, self.iterations)).decode()
        bare = self.iterations == ORIGINAL_ITERATIONS
        return PasswordHash(
            key if bare else f"pbkdf2-sha256${self.iterations}${key}", b64encode(salt).decode()
        )

    def verify(self, password: str, expected: PasswordHash) -> bool:
        """Return True if ``password`` made ``expected``. ``UNKNOWN_USER`` takes as long as any other."""
        count = expected.iterations
        self._most_iterations = max(self._most_iterations, count)
        try:
            salt = b64decode(expected.password_salt)
            key = b64decode(expected.password.rpartition("$")[2])
        except ValueError:  # another program wrote the row
            salt, key = b"", b""
        derived = _derive(password, salt, count)
        if self._most_iterations > count:
            _derive(password, salt, self._most_iterations - count)
        return hmac.compare_digest(derived, key)


hasher_of = cache(Hasher)  # one for each number of iterations, for the whole process


def _derive(password: str, salt: bytes, iterations: int) -> bytes:
    return pbkdf2_hmac("sha256", password.encode(), salt, iterations, BYTES)
