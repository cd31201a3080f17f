"""Refresh tokens: make, decode and verify them. This module needs neither database nor Flask.

    token     = base64url(SessionId, 16 bytes | Counter, 4 bytes big-endian | MAC, 32 bytes), 70 characters
    MAC       = HMAC-SHA256(server key, context | SessionId | Counter | salt)
    TokenHash = base64(HMAC-SHA256(salt, token))

The token is derived from the key and the salt; it is not random. So the server can make it again for a client that lost
it, and can verify older tokens without storing them. To make a token you need the server key and the salt, which is in
the database.
"""

import hmac
import os
import re
import uuid
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from typing import NamedTuple

CONTEXT = b"tasks-api refresh token v1"
_TOKEN_TEXT = re.compile(r"[A-Za-z0-9_-]{70}", re.ASCII)


class Token(NamedTuple):
    """The parts of a refresh token. They are not verified: see ``Keyring.verifies``."""

    session_id: uuid.UUID
    counter: int
    mac: bytes

    def __str__(self) -> str:
        raw = self.session_id.bytes + self.counter.to_bytes(4) + self.mac
        return urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> Token:
    """Return the parts of a token.

    Raises:
        ValueError: the text is not a refresh token of this service.
    """
    if _TOKEN_TEXT.fullmatch(text):
        raw = urlsafe_b64decode(text + "==")
        token = Token(uuid.UUID(bytes=raw[:16]), int.from_bytes(raw[16:20]), raw[20:])
        if str(token) == text:  # four bits of the last character mean nothing and must be 0
            return token
    raise ValueError("not a refresh token")


def new_salt() -> str:
    """Return a TokenSalt: 32 random bytes in base64."""
    return b64encode(os.urandom(32)).decode()


def token_hash(token: Token, salt: str) -> str:
    """Return the TokenHash of ``token``."""
    return b64encode(hmac.digest(_salt_bytes(salt), str(token).encode(), "sha256")).decode()


def has_hash(token: Token, salt: str, expected: str) -> bool:
    """Return True if ``expected`` is the hash of ``token``."""
    return hmac.compare_digest(token_hash(token, salt).encode(), expected.encode())


class Keyring:
    """The server keys: the first one makes tokens, all of them verify.

    Args:
        keys: newest first.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def make(self, session_id: uuid.UUID, counter: int, salt: str) -> Token:
        """Make the session's token with this counter."""
        return next(self._candidates(session_id, counter, salt))

    def verifies(self, token: Token, salt: str) -> bool:
        """Return True if one of the keys made ``token``."""
        candidates = self._candidates(token.session_id, token.counter, salt)
        return any(hmac.compare_digest(candidate.mac, token.mac) for candidate in candidates)

    def remake(
        self, session_id: uuid.UUID, counter: int, salt: str, expected: str
    ) -> Token | None:
        """Make the session's token with this counter again, with the key that gives it the hash ``expected``."""
        candidates = self._candidates(session_id, counter, salt)
        return next((token for token in candidates if has_hash(token, salt, expected)), None)

    def _candidates(self, session_id: uuid.UUID, counter: int, salt: str) -> Iterator[Token]:
        message = CONTEXT + session_id.bytes + counter.to_bytes(4) + _salt_bytes(salt)
        for key in self._keys:
            yield Token(session_id, counter, hmac.digest(key, message, "sha256"))


def _salt_bytes(salt: str) -> bytes:
    try:
        return b64decode(salt)
    except ValueError:  # another program wrote the row, and it is not base64
        return b""
