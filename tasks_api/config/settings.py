"""Every setting, its default and its meaning, in one table; and where settings are read from.

A setting NAME is the environment variable TASKS_NAME, the same in a ``.env`` file in the working
directory, or NAME in ``instance/settings.cfg`` (Python syntax, as in Flask). The environment wins over
``.env``, both win over the file.
"""

import os
import re
import runpy
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, cast

import click
import marshmallow as ma
from dotenv import dotenv_values
from flask import current_app
from limits import RateLimitItem
from werkzeug.local import LocalProxy

from .database_url import Keywords, read_database_url
from .fields import (
    Text,
    Texts,
    integer,
    rate,
    read_log_level,
    read_origin,
    read_samesite,
    read_storage_uri,
    row,
    secret,
    secrets,
    switch,
)
from .keys import (
    TokenKey,
    generated_key,
    key_file,
    read_key,
    read_old_key,
    secret_key,
    signing_key_file,
)

PREFIX = "TASKS_"
ROOT = Path(__file__).resolve().parent.parent.parent

# The folder of settings; what tests use; what Kubernetes sets in every container for a Service called "tasks".
_FOREIGN = re.compile(
    r"TASKS_(INSTANCE_PATH|TEST_.*|PORT(_.*)?|SERVICE_.*|.*_SERVICE_(HOST|PORT.*)|.*_PORT(_.*)?)"
)


class ConfigError(click.ClickException):
    """A setting that cannot be used. The message is one line that names it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one application; ``Settings.load()`` reads and checks them."""

    instance_path: Path
    generated_keys: tuple[str, ...]

    database_url: Path | Keywords = row(
        Path("tasks.db"),
        Text(read_database_url),
        "where the data is: an SQLAlchemy URL or an ODBC connection string; a relative SQLite file is in `instance/`",
        "`sqlite:///tasks.db`",
        repr=False,
    )
    upgrade_on_start: bool = switch(
        None, "apply new schema scripts when the service starts", "true for SQLite, else false"
    )
    jwt_secret_key: bytes | None = secret(
        "signs access tokens (HS256); at least 32 bytes", read_key
    )
    jwt_secret_key_previous: tuple[bytes, ...] = secrets(
        "older keys whose access tokens are still accepted", read_old_key
    )
    jwt_private_key_file: TokenKey | None = secret(
        "PEM file: its key signs access tokens instead (RS256, ES256 or EdDSA; `make install EXTRAS=asymmetric`), and "
        "/.well-known/jwks.json has what other services need to verify them",
        signing_key_file,
        "none",
    )
    jwt_key_files_previous: tuple[TokenKey, ...] = secrets(
        "PEM files of older keys whose access tokens are still accepted", key_file
    )
    refresh_token_key: bytes = secret("makes refresh tokens; at least 32 bytes", read_key)
    refresh_token_key_previous: tuple[bytes, ...] = secrets(
        "older keys whose refresh tokens are still accepted", read_old_key
    )
    jwt_issuer: str = row(
        "tasks-api", Text(str), "the `iss` of access tokens, checked on every request"
    )
    jwt_audience: str = row(
        "tasks-api", Text(str), "the `aud` of access tokens, checked on every request"
    )
    access_token_seconds: int = integer(900, 1, 86_400, "lifetime of an access token, in seconds")
    refresh_token_days: int = integer(
        14, 1, 3650, "a session ends when it was not refreshed for this many days"
    )
    session_max_days: int = integer(90, 1, 3650, "a session ends this many days after its login")
    refresh_retry_seconds: int = integer(
        10,
        0,
        60,
        "how long a used refresh token is answered with the same successor; 0: no second answer of any kind",
    )
    max_sessions: int = integer(
        20, 1, 1000, "sessions a user can have; the least recently used one makes room"
    )
    password_iterations: int = integer(
        600_000,
        100_000,
        10_000_000,
        "PBKDF2-HMAC-SHA256 iterations; 100000 writes the format that the .NET original reads",
    )
    cors_origins: tuple[str, ...] = row(
        (), Texts(read_origin), "browser origins that may call the API, comma-separated"
    )
    cookie_samesite: str = row(
        "Strict",
        Text(read_samesite),
        "`Strict`, `Lax` or `None`: whether pages of other sites send the cookie of refresh tokens",
    )
    trusted_proxies: int = integer(
        0, 0, 10, "reverse proxies in front whose X-Forwarded-* headers are believed"
    )
    ratelimit_enabled: bool = switch(True, "limit how often one client may try")
    ratelimit_storage_uri: str = row(
        "memory://",
        Text(read_storage_uri),
        "where attempts are counted: in each process, or `redis://...` for all (`make install EXTRAS=redis`)",
        repr=False,
    )
    ratelimit_login: RateLimitItem = rate("60 per minute", "logins per client address")
    ratelimit_login_failures: RateLimitItem = rate(
        "10 per 5 minutes", "wrong passwords per account and client address"
    )
    ratelimit_account_failures: RateLimitItem = rate(
        "100 per hour", "wrong passwords per account, from anywhere but where its user is signed in"
    )
    ratelimit_signup: RateLimitItem = rate("60 per hour", "signups per client address")
    ratelimit_refresh: RateLimitItem = rate("30 per minute", "refused refreshes per client address")
    ratelimit_password: RateLimitItem = rate(
        "30 per hour", "changes and deletions that need the password, per client address"
    )
    metrics_enabled: bool = switch(True, "serve /metrics")
    docs_enabled: bool = switch(True, "serve /swagger and /openapi.json")
    page_enabled: bool = switch(True, "serve the page at /")
    log_level: str = row("INFO", Text(read_log_level), "DEBUG, INFO, WARNING or ERROR")
    threads: int = integer(
        8,
        1,
        256,
        "threads of a gunicorn worker, each with a database connection of its own; not in `settings.cfg`, for "
        "gunicorn.conf.py reads it too",
    )

    @property
    def token_keys(self) -> tuple[TokenKey, ...]:
        """The keys of access tokens: the first signs, all of them verify."""
        secrets = (self.jwt_secret_key, *self.jwt_secret_key_previous)
        of_secrets = (secret_key(key) for key in secrets if key)
        keys = (self.jwt_private_key_file, *of_secrets, *self.jwt_key_files_previous)
        return tuple(key for key in keys if key)

    @property
    def public_keys(self) -> list[dict[str, str]]:
        """What other services need to verify access tokens (RFC 7517)."""
        return [key.jwk for key in self.token_keys if key.jwk]

    @property
    def refresh_token_keys(self) -> tuple[bytes, ...]:
        """The keys of refresh tokens: the first makes them, all of them verify."""
        return (self.refresh_token_key, *self.refresh_token_key_previous)

    @property
    def database_file(self) -> Path | None:
        """The embedded database's file; relative names are in the instance folder. None: SQL Server."""
        url = self.database_url
        return self.instance_path / url if isinstance(url, Path) else None

    @property
    def sqlserver(self) -> Keywords:
        """How SQL Server is reached; nothing, if it is not used."""
        return {} if isinstance(self.database_url, Path) else self.database_url

    @classmethod
    def load(
        cls, environ: Mapping[str, str] | None = None, instance_path: Path | None = None
    ) -> "Settings":
        """Read, check and complete the settings.

        Args:
            environ: the environment, instead of ``.env`` and the process's own.
            instance_path: the folder for run-time state, instead of TASKS_INSTANCE_PATH or ``instance/``.

        Raises:
            ConfigError: an unknown name or an unusable value.
        """
        if environ is None:
            environ = _from_dotenv() | os.environ
        folder = instance_path or Path(environ.get("TASKS_INSTANCE_PATH") or ROOT / "instance")
        path = folder.absolute() / "settings.cfg"
        known = _read(_from_file(path), f"{{}} in {path}")
        known |= _read(_from_environment(environ), PREFIX + "{}")
        return cls(**_completed(known, path.parent))


def rows() -> dict[str, Field[Any]]:
    """The table, by name."""
    return {item.name: item for item in fields(Settings) if item.metadata}


def _from_dotenv() -> dict[str, str]:
    try:
        found = dotenv_values(".env")
        if any("\0" in name for name in found):
            raise ValueError
    except (OSError, ValueError):  # what PowerShell writes is UTF-16
        raise ConfigError(f"{Path('.env').absolute()} cannot be read as text in UTF-8") from None
    return {name: text for name, text in found.items() if text is not None}


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and not _FOREIGN.fullmatch(name)
    }


def _from_file(path: Path) -> dict[str, Any]:
    try:
        is_there = path.exists()
    except PermissionError:  # a folder that is closed to this user, who may need nothing of it
        is_there = False
    try:
        found = runpy.run_path(str(path)) if is_there else {}
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".replace("\n", " ")
        raise ConfigError(f"{path} cannot be read: {reason}") from None
    for name in found:
        if not name.isupper() and name.lower() in rows():
            raise ConfigError(f"{name} in {path} must be written {name.upper()}")
    if "THREADS" in found:
        raise ConfigError(f"THREADS in {path} must be TASKS_THREADS in the environment")
    return {name: found[name] for name in found if name.isupper()}


def _read(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of the settings of one source, which names them as ``where`` says."""
    schema = ma.Schema.from_dict({name: item.metadata["read"] for name, item in rows().items()})
    try:
        return dict(schema().load({name.lower(): value for name, value in given.items()}))
    except ma.ValidationError as error:
        name, (message, *_) = next(iter(error.normalized_messages().items()))
        reason = message if name in rows() else "is not a setting"
        raise ConfigError(f"{where.format(name.upper())} {reason}") from None


def _completed(known: dict[str, Any], instance: Path) -> dict[str, Any]:
    if "upgrade_on_start" not in known:
        url = known.get("database_url", Settings.database_url)
        known["upgrade_on_start"] = isinstance(url, Path)
    origins = known.get("cors_origins", ())
    if "*" in origins and len(origins) > 1:
        raise ConfigError("TASKS_CORS_ORIGINS must be * alone, or origins without it")
    generated = []
    for name in ("jwt_secret_key", "refresh_token_key"):
        if name in known or (name == "jwt_secret_key" and "jwt_private_key_file" in known):
            continue
        generated.append(PREFIX + name.upper())
        try:
            known[name] = generated_key(instance / name)
        except (OSError, ValueError) as error:
            reason = f"is not set and {instance / name}: {error}"
            raise ConfigError(f"{generated[-1]} {reason}") from None
    return known | {"instance_path": instance, "generated_keys": tuple(generated)}


current_settings = cast(Settings, LocalProxy(lambda: current_app.extensions["settings"]))
