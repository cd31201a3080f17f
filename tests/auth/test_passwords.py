"""Password hashes: those of the original verify, and ours name their iterations."""

from typing import Any

import pytest

from tasks_api.auth.passwords import Hasher, PasswordHash
from tests.auth.conftest import VECTORS


@pytest.mark.parametrize("vector", VECTORS)
def test_hashes_of_the_original_verify(vector: dict[str, Any]) -> None:
    stored = PasswordHash(vector["Password"], vector["PasswordSalt"])
    hasher = Hasher(100_000)
    assert hasher.verify(vector["password"], stored)
    assert not hasher.verify(vector["password"] + "x", stored)


def test_a_hash_names_its_iterations_and_has_a_salt() -> None:
    hashed = Hasher(150_000).hash("secret")
    assert hashed.iterations == 150_000
    assert Hasher(150_000).hash("secret") != hashed


@pytest.mark.parametrize("stored", ["", "nonsense", "pbkdf2-sha256$x$y", "å"])
def test_no_password_matches_a_damaged_hash(stored: str) -> None:
    assert not Hasher(100_000).verify("", PasswordHash(stored, stored))
