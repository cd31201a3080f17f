"""The keys of access tokens and of refresh tokens. Missing ones are generated on the first start."""

import hmac
import json
import os
import secrets
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, cast

import jwt
from flask import Flask, current_app

from ..config import PREFIX, ConfigError, Settings

MIN_RSA_BITS = 2048


class TokenKey(NamedTuple):
    """A key of access tokens. ``kid`` identifies it and reveals nothing about it."""

    kid: str
    algorithm: str
    signing: Any  # None: this key only verifies
    verifying: Any
    jwk: dict[str, str] | None  # the public key for other services (RFC 7517); None: a secret


class Keys(NamedTuple):
    """The keys of one application. In both tuples the first key makes tokens, and all keys verify."""

    of_access_tokens: tuple[TokenKey, ...]
    of_refresh_tokens: tuple[bytes, ...]
    generated: tuple[str, ...]  # the settings for which a key was generated

    @property
    def public(self) -> list[dict[str, str]]:
        """The keys with which other services verify access tokens."""
        return [key.jwk for key in self.of_access_tokens if key.jwk]


def init_keys(app: Flask, settings: Settings) -> Keys:
    """Load the keys that the settings name and generate those that they do not name.

    Raises:
        ConfigError: a key cannot be used.
    """
    generated = []

    def secret(name: str, value: str | None) -> bytes:
        if value:
            return value.encode()
        generated.append(PREFIX + name.upper())
        return _generated_key(settings.instance_path / name)

    access_keys = []
    if settings.jwt_private_key_file:
        access_keys.append(_key_file("JWT_PRIVATE_KEY_FILE", settings.jwt_private_key_file))
        if not access_keys[0].signing:
            raise ConfigError(f"{PREFIX}JWT_PRIVATE_KEY_FILE must hold a private key.")
    if settings.jwt_secret_key or not access_keys:
        access_keys.append(secret_key(secret("jwt_secret_key", settings.jwt_secret_key)))
    access_keys += [secret_key(old.encode()) for old in settings.jwt_secret_key_previous]
    access_keys += [
        _key_file("JWT_KEY_FILES_PREVIOUS", old) for old in settings.jwt_key_files_previous
    ]
    newest = secret("refresh_token_key", settings.refresh_token_key)
    older = (old.encode() for old in settings.refresh_token_key_previous)
    keys = Keys(tuple(access_keys), (newest, *older), tuple(generated))
    app.extensions["keys"] = keys
    return keys


def current_keys() -> Keys:
    """Return the application's keys."""
    return cast(Keys, current_app.extensions["keys"])


def secret_key(secret: bytes) -> TokenKey:
    """Make the key of access tokens for HS256."""
    kid = hmac.digest(secret, b"tasks-api kid", "sha256").hex()[:16]
    return TokenKey(kid, "HS256", secret, secret, None)


def _key_file(setting: str, name: str) -> TokenKey:
    try:
        return _read_key_file(name)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{PREFIX}{setting}: {error}") from None


def _read_key_file(name: str) -> TokenKey:
    """Read a PEM file: RSA for RS256, EC P-256 for ES256, Ed25519 for EdDSA. A public key only verifies."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    except ImportError:
        raise ValueError("needs cryptography: make install EXTRAS=asymmetric") from None
    text = Path(name).read_bytes()
    private: Any = None
    with suppress(ValueError, TypeError):
        private = serialization.load_pem_private_key(text, None)
    try:
        public = private.public_key() if private else serialization.load_pem_public_key(text)
    except ValueError:
        raise ValueError("The file must be PEM and hold one key without a password.") from None
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_RSA_BITS:
        algorithm = "RS256"
    elif isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        algorithm = "ES256"
    elif isinstance(public, ed25519.Ed25519PublicKey):
        algorithm = "EdDSA"
    else:
        raise ValueError(f"The key must be RSA with {MIN_RSA_BITS} bits, EC P-256 or Ed25519.")
    jwk: Any = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    jwk.pop("key_ops", None)
    # The thumbprint of RFC 7638 is made of the sorted members.
    required = json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()
    kid = urlsafe_b64encode(sha256(required).digest()).decode().rstrip("=")
    return TokenKey(
        kid, algorithm, private, public, jwk | {"use": "sig", "alg": algorithm, "kid": kid}
    )


def _generated_key(path: Path) -> bytes:
    """Return the key in the file. Create the file with mode 0600 if it is missing."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_urlsafe(48))
        for _ in range(100):  # another process may be writing the file
            key = path.read_bytes().strip()
            if key:
                break
            time.sleep(0.02)
    except OSError as error:
        raise ConfigError(f"{PREFIX}{path.name.upper()} is not set, and {error}") from None
    if len(key) < 32 or b"," in key:
        raise ConfigError(
            f"{PREFIX}{path.name.upper()} is not set, and {path} holds no key of 32 bytes without comma."
        )
    return key
