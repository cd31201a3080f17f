"""The refresh token: what it is made of, and how it is told from a forgery. No database, no Flask.

    token     = base64url(SessionId, 16 bytes | Counter, 4 bytes big-endian | MAC, 32 bytes), 70 characters
    MAC       = HMAC-SHA256(server key, context | SessionId | Counter | salt)
    TokenHash = base64(HMAC-SHA256(salt, token))

The token is derived, not random: the one successor of a token can be told again to a client that lost the
answer, and every older token of a session can be told from a forgery, without keeping any of them. Whoever
reads the database has the salts but no server key; whoever has the server key has no salts.
"""

import hmac
import os
import re
import uuid
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from typing import NamedTuple

CONTEXT = b"tasks-api refresh token v1"
_TEXT = re.compile(r"[A-Za-z0-9_-]{70}", re.ASCII)


class Token(NamedTuple):
    """A refresh token, taken apart. It may be a forgery until ``Keyring.made`` says otherwise."""

    session_id: uuid.UUID
    counter: int
    mac: bytes

    def __str__(self) -> str:
        raw = self.session_id.bytes + self.counter.to_bytes(4) + self.mac
        return urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> Token:
    """Take a token apart.

    Raises:
        ValueError: this is no refresh token of ours.
    """
    if _TEXT.fullmatch(text):
        raw = urlsafe_b64decode(text + "==")
        token = Token(uuid.UUID(bytes=raw[:16]), int.from_bytes(raw[16:20]), raw[20:])
        if str(token) == text:  # base64's last character has bits that count for nothing
            return token
    raise ValueError("not a refresh token")


def new_salt() -> str:
    """A session's TokenSalt: base64 of 32 random bytes, 44 of the column's 50 characters."""
    return b64encode(os.urandom(32)).decode()


def token_hash(token: Token, salt: str) -> str:
    """What TokenHash holds for ``token``."""
    return b64encode(hmac.digest(_salt_bytes(salt), str(token).encode(), "sha256")).decode()


def has_hash(token: Token, salt: str, stored: str) -> bool:
    """Whether ``stored`` is the hash of ``token``."""
    return hmac.compare_digest(token_hash(token, salt).encode(), stored.encode())


class Keyring:
    """The server keys: the first makes tokens, all of them verify.

    Args:
        keys: newest first.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def make(self, session_id: uuid.UUID, counter: int, salt: str) -> Token:
        """The session's token number ``counter``."""
        return next(self._candidates(session_id, counter, salt))

    def made(self, token: Token, salt: str) -> bool:
        """Whether one of the keys made ``token``."""
        candidates = self._candidates(token.session_id, token.counter, salt)
        return any(hmac.compare_digest(candidate.mac, token.mac) for candidate in candidates)

    def find(self, session_id: uuid.UUID, counter: int, salt: str, stored: str) -> Token | None:
        """The session's token number ``counter`` whose hash is ``stored``, whichever key made it."""
        candidates = self._candidates(session_id, counter, salt)
        return next((token for token in candidates if has_hash(token, salt, stored)), None)

    def _candidates(self, session_id: uuid.UUID, counter: int, salt: str) -> Iterator[Token]:
        message = CONTEXT + session_id.bytes + counter.to_bytes(4) + _salt_bytes(salt)
        for key in self._keys:
            yield Token(session_id, counter, hmac.digest(key, message, "sha256"))


def _salt_bytes(salt: str) -> bytes:
    try:
        return b64decode(salt)
    except ValueError:  # a row that somebody else wrote; its tokens are not ours
        return b""
