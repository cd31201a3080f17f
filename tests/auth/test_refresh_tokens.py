"""Refresh tokens: how they are made, hashed and told from forgeries."""

import hmac
import uuid
from base64 import b64encode, urlsafe_b64encode

import pytest

from tasks_api.auth import refresh_tokens as tokens
from tasks_api.auth.refresh_tokens import Keyring

KEY = b"k" * 32
SESSION_ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
SALT = b64encode(bytes(range(32))).decode()


def test_a_token_and_its_hash_follow_the_formulas() -> None:
    head = SESSION_ID.bytes + bytes([0, 0, 0, 7])
    mac = hmac.digest(KEY, tokens.CONTEXT + head + bytes(range(32)), "sha256")
    expected = urlsafe_b64encode(head + mac).decode().rstrip("=")
    token = Keyring([KEY]).make(SESSION_ID, 7, SALT)
    assert str(token) == expected
    hashed = hmac.digest(bytes(range(32)), expected.encode(), "sha256")
    assert tokens.token_hash(token, SALT) == b64encode(hashed).decode()
    assert tokens.decode(expected) == token


def test_a_salt_is_random_and_fits_its_column() -> None:
    assert len(tokens.new_salt()) == 44
    assert tokens.new_salt() != tokens.new_salt()


@pytest.mark.parametrize(
    "text",
    ["A" * 69, "A" * 71, "å" * 70, "A" * 70 + "\n", "+" * 70, "A" * 69 + "B"],
)
def test_a_text_of_another_form_is_not_a_token(text: str) -> None:
    with pytest.raises(ValueError, match="not a refresh token"):
        tokens.decode(text)


def test_a_forger_needs_both_the_key_and_the_salt() -> None:
    keyring = Keyring([KEY])
    token = keyring.make(SESSION_ID, 1, SALT)
    assert not Keyring([b"x" * 32]).verifies(token, SALT)
    for salt in (tokens.new_salt(), "not base64: another program wrote the row"):
        assert not keyring.verifies(token, salt)
    assert not keyring.verifies(token._replace(mac=token.mac[:-1] + b"x"), SALT)
