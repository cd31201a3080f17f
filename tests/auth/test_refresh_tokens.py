"""Refresh tokens: made, hashed and told from forgeries, with vectors computed from the design's formulas."""

import hmac
import uuid
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode

import pytest

from tasks_api.auth import refresh_tokens as tokens
from tasks_api.auth.refresh_tokens import Keyring

KEY = b"k" * 32
SESSION = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
SALT = b64encode(bytes(range(32))).decode()


def test_a_token_is_what_the_design_says() -> None:
    head = bytes.fromhex("00112233445566778899aabbccddeeff") + bytes([0, 0, 0, 7])
    mac = hmac.digest(KEY, tokens.CONTEXT + head + bytes(range(32)), "sha256")
    expected = urlsafe_b64encode(head + mac).decode().rstrip("=")
    token = Keyring([KEY]).make(SESSION, 7, SALT)
    assert str(token) == expected
    hashed = hmac.digest(bytes(range(32)), expected.encode(), "sha256")
    assert tokens.token_hash(token, SALT) == b64encode(hashed).decode()
    assert tokens.decode(expected) == token


def test_the_salt_fits_its_column() -> None:
    assert len(tokens.new_salt()) == 44
    assert tokens.new_salt() != tokens.new_salt()


@pytest.mark.parametrize(
    "text",
    [
        "A" * 69,
        "A" * 71,
        "å" * 70,
        "A" * 70 + "\n",
        "+" * 70,
        "A" * 69 + "B",
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a refresh token"):
        tokens.decode(text)


def test_every_bit_counts() -> None:
    keyring = Keyring([KEY])
    raw = urlsafe_b64decode(str(keyring.make(SESSION, 7, SALT)) + "==")
    for bit in range(len(raw) * 8):
        forged = bytearray(raw)
        forged[bit // 8] ^= 1 << bit % 8
        text = urlsafe_b64encode(forged).decode().rstrip("=")
        assert not keyring.made(tokens.decode(text), SALT)


def test_the_database_alone_and_the_key_alone_make_nothing() -> None:
    token = Keyring([KEY]).make(SESSION, 1, SALT)
    assert not Keyring([b"x" * 32]).made(token, SALT)
    assert not Keyring([KEY]).made(token, tokens.new_salt())
    assert not Keyring([KEY]).made(token, "not base64: a row that somebody else wrote")
