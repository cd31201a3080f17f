"""Keys: the secrets that the service makes for itself on its first start, and the keys of access tokens."""

import hmac
import json
import os
import secrets
import tempfile
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from jwt.algorithms import get_default_algorithms

MIN_KEY_BYTES = 32
MIN_RSA_BITS = 2048


@dataclass(frozen=True)
class TokenKey:
    """A key of access tokens. ``kid`` says which one it is and nothing about it."""

    kid: str
    algorithm: str
    signing: Any  # None: this one only verifies
    verifying: Any
    jwk: dict[str, str] | None  # what others need to verify; None: a secret


def secret_key(secret: bytes) -> TokenKey:
    """A secret for HS256."""
    return TokenKey(hmac.digest(secret, b"tasks-api kid", "sha256").hex()[:16], "HS256", secret, secret, None)


def key_file(path: Path) -> TokenKey:
    """The key in a PEM file: RSA for RS256, EC P-256 for ES256, Ed25519 for EdDSA.

    A public key makes a key that only verifies. The ``kid`` is the thumbprint of RFC 7638.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no key that can be used, or the package cryptography is missing.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
    except ImportError:
        raise ValueError("needs the package cryptography: make install EXTRAS=asymmetric") from None
    text = path.read_bytes()
    try:
        private: Any = load_pem_private_key(text, None) if b"PRIVATE KEY" in text else None
        public: Any = private.public_key() if private else load_pem_public_key(text)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("must be a PEM file with a key and no password") from None
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_RSA_BITS:
        algorithm, members = "RS256", ["e", "kty", "n"]
    elif isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        algorithm, members = "ES256", ["crv", "kty", "x", "y"]
    elif isinstance(public, ed25519.Ed25519PublicKey):
        algorithm, members = "EdDSA", ["crv", "kty", "x"]
    else:
        raise ValueError(f"must be a key of RSA ({MIN_RSA_BITS} bits or more), EC P-256 or Ed25519")
    converter: Any = get_default_algorithms()[algorithm]
    whole = converter.to_jwk(public, as_dict=True)
    jwk = {name: whole[name] for name in members}
    thumbprint = sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest()
    kid = urlsafe_b64encode(thumbprint).decode().rstrip("=")
    return TokenKey(kid, algorithm, private, public, jwk | {"use": "sig", "alg": algorithm, "kid": kid})


def generated_key(path: Path) -> bytes:
    """The key in ``path``, made on first use, mode 0600.

    The file appears whole or not at all, and the first of several processes that start together wins:
    a finished temporary file is linked to its name, and a link never replaces a file.

    Raises:
        OSError: the folder or the file cannot be written or read.
        ValueError: the file holds less than 32 bytes.
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
    key = path.read_bytes().strip()
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"must have at least {MIN_KEY_BYTES} bytes")
    return key
