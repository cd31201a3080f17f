"""Keys: the secrets that the service makes for itself on its first start, and the keys of access tokens."""

import hmac
import json
import math
import os
import secrets
import tempfile
from base64 import urlsafe_b64encode
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from jwt.algorithms import get_default_algorithms

MIN_KEY_BYTES = 32
# In the order of the thumbprint.
_JWK_MEMBERS = {
    "RS256": ("e", "kty", "n"),
    "ES256": ("crv", "kty", "x", "y"),
    "EdDSA": ("crv", "kty", "x"),
}


class TokenKey(NamedTuple):
    """A key of access tokens. ``kid`` says which one it is and nothing about it."""

    kid: str
    algorithm: str
    signing: Any  # None: this one only verifies
    verifying: Any
    jwk: dict[str, str] | None  # what others need to verify; None: a secret

    @property
    def signature_length(self) -> int:
        """Of a whole signature, in characters of a token."""
        bits = {"HS256": 256, "ES256": 512, "EdDSA": 512}.get(self.algorithm)
        return math.ceil((bits or self.verifying.key_size) / 6)


def read_old_key(text: str) -> bytes:
    """A secret that is long enough to be one."""
    return _checked(text.encode())


def read_key(text: str) -> bytes:
    """The same, which can be put on a list of old ones some day."""
    return _fit_for_a_list(_checked(text.encode()))


def _checked(key: bytes) -> bytes:
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"must have at least {MIN_KEY_BYTES} bytes")
    return key


def _fit_for_a_list(key: bytes) -> bytes:
    if b"," in key:
        raise ValueError("must have no comma: lists of keys are split there")
    return key


def secret_key(secret: bytes) -> TokenKey:
    """A secret for HS256."""
    return TokenKey(
        hmac.digest(secret, b"tasks-api kid", "sha256").hex()[:16], "HS256", secret, secret, None
    )


def signing_key_file(name: str) -> TokenKey:
    """The private key in a PEM file, see ``key_file``."""
    key = key_file(name)
    if not key.signing:
        raise ValueError("must hold a private key")
    return key


def key_file(name: str) -> TokenKey:
    """The key in a PEM file: RSA for RS256, EC P-256 for ES256, Ed25519 for EdDSA.

    A public key makes a key that only verifies. The ``kid`` is the thumbprint of RFC 7638.

    Raises:
        ValueError: the file holds no key that can be used, or the package cryptography is missing.
    """
    try:
        text = Path(name).read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    known: Any = get_default_algorithms()
    if "RS256" not in known:
        raise ValueError("needs the package cryptography: make install EXTRAS=asymmetric")
    for algorithm, members in _JWK_MEMBERS.items():
        reader = known[algorithm]
        with suppress(Exception):  # whatever else the file holds
            key = reader.prepare_key(text)
            public = key.public_key() if hasattr(key, "public_key") else key
            whole = reader.to_jwk(public, as_dict=True)
            if reader.check_key_length(key) is None and whole.get("crv") != "Ed448":
                jwk = {member: whole[member] for member in members}
                return _token_key(algorithm, key, public, jwk)
    raise ValueError(
        "must be a PEM file, without a password, with a key of RSA (2048 bits or more), EC P-256 or Ed25519"
    )


def _token_key(algorithm: str, key: Any, public: Any, jwk: dict[str, str]) -> TokenKey:
    thumbprint = sha256(json.dumps(jwk, separators=(",", ":")).encode()).digest()
    kid = urlsafe_b64encode(thumbprint).decode().rstrip("=")
    published = jwk | {"use": "sig", "alg": algorithm, "kid": kid}
    return TokenKey(kid, algorithm, None if public is key else key, public, published)


def generated_key(path: Path) -> bytes:
    """The key in ``path``, made on first use, mode 0600.

    The file appears whole or not at all, and the first of several processes that start together wins:
    a finished temporary file is linked to its name, and a link never replaces a file.

    Raises:
        OSError: the folder or the file cannot be written or read.
        ValueError: the file holds no key that can be used.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(48))
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            Path(temporary).unlink()
    return _fit_for_a_list(_checked(path.read_bytes().strip()))
