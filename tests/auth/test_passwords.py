"""Password hashes: the original's rows verify, ours say how they were made."""

from typing import Any

import pytest

from tasks_api.auth import passwords
from tasks_api.auth.passwords import Hasher, PasswordHash
from tests.auth.conftest import VECTORS


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["password"][:12])
def test_rows_of_the_original_verify(vector: dict[str, Any]) -> None:
    stored = PasswordHash(vector["Password"], vector["PasswordSalt"])
    hasher = Hasher(100_000)
    assert hasher.verify(vector["password"], stored)
    assert not hasher.verify(vector["password"] + "x", stored)


def test_a_hash_says_its_iterations_and_is_salted() -> None:
    hashed = Hasher(150_000).hash("secret")
    assert hashed.password.startswith("pbkdf2-sha256$150000$")
    assert Hasher(200_000).verify("secret", hashed)
    assert hashed.iterations == 150_000
    assert Hasher(150_000).hash("secret") != hashed


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "nonsense",
        "pbkdf2-sha256$x$y",
        "å",
    ],
)
def test_a_damaged_row_lets_nobody_in(stored: str) -> None:
    assert not Hasher(100_000).verify("", PasswordHash(stored, stored))


def test_every_verification_costs_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    original, strong = Hasher(100_000).hash("secret"), Hasher(900_000).hash("secret")
    spent: list[int] = []

    def count(_password: str, _salt: bytes, iterations: int) -> bytes:
        spent.append(iterations)
        return b""

    monkeypatch.setattr(passwords, "_derive", count)
    hasher = Hasher(600_000)

    def cost(stored: PasswordHash) -> int:
        spent.clear()
        hasher.verify("guess", stored)
        return sum(spent)

    assert cost(passwords.NOBODY) == cost(original) == 600_000
    assert cost(strong) == cost(passwords.NOBODY) == cost(original) == 900_000
