"""Every setting, its default and its meaning, in one table.

A setting NAME is the environment variable TASKS_NAME, the same in a ``.env`` file in the working
directory, or NAME in ``instance/settings.cfg`` (Python syntax, as in Flask). The environment wins over
``.env``, both win over the file.
"""

import os
import re
import runpy
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, cast

import limits
from dotenv import dotenv_values
from flask import current_app
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from werkzeug.local import LocalProxy

from .address import address
from .keys import MIN_KEY_BYTES, TokenKey, generated_key, key_file, secret_key

T = TypeVar("T")

PREFIX = "TASKS_"
ROOT = Path(__file__).resolve().parent.parent

# What Kubernetes sets in every container for a Service called "tasks", and what tests use.
_FOREIGN = re.compile(r"TASKS_(TEST_.*|PORT(_.*)?|SERVICE_.*|.*_SERVICE_(HOST|PORT.*)|.*_PORT(_.*)?)")


class ConfigError(Exception):
    """A setting that cannot be used. The message is one line that names it."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    return value.strip()


def _integer(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return number

    return parse


def _boolean(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    result = words.get(str(value).strip().lower())
    if result is None:
        raise ValueError("must be true or false")
    return result


def _list(value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("must be a list, comma-separated")
    return tuple(item.strip() for item in items if item.strip())


def _origins(value: object) -> tuple[str, ...]:
    origins = _list(value)
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s?#@]+", origin):
            raise ValueError("must be origins like http://localhost:4200, comma-separated")
    return origins


def _key(value: object) -> bytes:
    key = _text(value).encode()
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"must have at least {MIN_KEY_BYTES} bytes")
    return key


def _key_file(value: object) -> TokenKey:
    try:
        return key_file(Path(_text(value)))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def _signing_key_file(value: object) -> TokenKey:
    key = _key_file(value)
    if not key.signing:
        raise ValueError("must hold a private key")
    return key


def _each(parse: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    return lambda value: tuple(parse(item) for item in _list(value))


def _rate_limit(value: object) -> str:
    try:
        limits.parse_many(_text(value))
    except ValueError:
        raise ValueError("must be a rate like '10 per minute'") from None
    return _text(value)


def _storage_uri(value: object) -> str:
    uri = _text(value)
    if not re.match(r"(memory|(async\+)?(redis|rediss|memcached|mongodb)[a-z+]*)://", uri):
        raise ValueError("must be a storage address such as memory:// or redis://host:6379")
    return uri


def _database_url(value: object) -> URL:
    text = _text(value)
    if not text.startswith("sqlite"):
        return address(text)
    try:
        url = make_url(text)
    except ArgumentError:
        raise ValueError("must be an SQLAlchemy URL") from None
    if url.get_backend_name() != "sqlite":
        raise ValueError("must be a sqlite:// or mssql+pyodbc:// address")
    if url.database in (None, "", ":memory:"):
        raise ValueError("must name a database file: every process of the service opens it")
    return url


def _folder(value: object) -> Path:
    folder = Path(_text(value))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError("must be a folder that can be written to")
    return folder


def _log_level(value: object) -> str:
    level = _text(value).upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
    return level


_keys = _each(_key)
_key_files = _each(_key_file)
_SECRET = (_key, _keys, _signing_key_file, _key_files)


def _setting(default: object, parse: Callable[[object], object], meaning: str, shown: str | None = None) -> Any:
    if shown is None:
        text = str(default).lower() if isinstance(default, bool) else default
        shown = "none" if default in (None, ()) else f"`{text}`"
    metadata = {"parse": parse, "meaning": meaning, "shown": shown}
    return field(default=cast(Any, default), metadata=metadata, repr=parse not in _SECRET)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one application; ``Settings.load()`` reads and checks them."""

    instance_path: Path = field(default=ROOT / "instance")
    generated_keys: tuple[str, ...] = field(default=())

    database_url: URL = _setting(
        "sqlite:///tasks.db",
        _database_url,
        "where the data is: an SQLAlchemy URL or an ODBC connection string; a relative SQLite file is in `instance/`",
    )
    upgrade_on_start: bool = _setting(
        None, _boolean, "apply new schema scripts when the service starts", "true for SQLite, else false"
    )
    jwt_secret_key: bytes | None = _setting(
        None, _key, "signs access tokens (HS256); at least 32 bytes", "generated in `instance/`"
    )
    jwt_secret_key_previous: tuple[bytes, ...] = _setting(
        (), _keys, "older keys whose access tokens are still accepted"
    )
    jwt_private_key_file: TokenKey | None = _setting(
        None,
        _signing_key_file,
        "PEM file: its key signs access tokens instead (RS256, ES256 or EdDSA; `make install EXTRAS=asymmetric`), and "
        "/.well-known/jwks.json has what other services need to verify them",
    )
    jwt_key_files_previous: tuple[TokenKey, ...] = _setting(
        (), _key_files, "PEM files of older keys whose access tokens are still accepted"
    )
    refresh_token_key: bytes = _setting(
        None, _key, "makes refresh tokens; at least 32 bytes", "generated in `instance/`"
    )
    refresh_token_key_previous: tuple[bytes, ...] = _setting(
        (), _keys, "older keys whose refresh tokens are still accepted"
    )
    jwt_issuer: str = _setting("tasks-api", _text, "the `iss` of access tokens, checked on every request")
    jwt_audience: str = _setting("tasks-api", _text, "the `aud` of access tokens, checked on every request")
    access_token_seconds: int = _setting(900, _integer(1, 86_400), "lifetime of an access token, in seconds")
    refresh_token_days: int = _setting(
        14, _integer(1, 3650), "a session ends when it was not refreshed for this many days"
    )
    session_max_days: int = _setting(90, _integer(1, 3650), "a session ends this many days after its login")
    refresh_retry_seconds: int = _setting(
        10, _integer(0, 60), "how long a used refresh token is answered with its one successor; 0: never"
    )
    max_sessions: int = _setting(
        20, _integer(1, 1000), "sessions a user can have; the least recently used one makes room"
    )
    password_iterations: int = _setting(
        600_000,
        _integer(100_000, 10_000_000),
        "PBKDF2-HMAC-SHA256 iterations; 100000 writes the format that the .NET original reads",
    )
    cors_origins: tuple[str, ...] = _setting((), _origins, "browser origins that may call the API, comma-separated")
    trusted_proxies: int = _setting(
        0, _integer(0, 10), "reverse proxies in front whose X-Forwarded-* headers are believed"
    )
    ratelimit_enabled: bool = _setting(True, _boolean, "limit how often one client may try")
    ratelimit_storage_uri: str = _setting(
        "memory://",
        _storage_uri,
        "where attempts are counted: in each process, or `redis://...` for all (`make install EXTRAS=redis`)",
    )
    ratelimit_login: str = _setting("60 per minute", _rate_limit, "logins per client address")
    ratelimit_login_failures: str = _setting(
        "10 per 5 minutes", _rate_limit, "wrong passwords per account and client address"
    )
    ratelimit_account_failures: str = _setting(
        "100 per hour", _rate_limit, "wrong passwords per account, from anywhere but where its user is signed in"
    )
    ratelimit_signup: str = _setting("60 per hour", _rate_limit, "signups per client address")
    ratelimit_refresh: str = _setting("30 per minute", _rate_limit, "refused refreshes per client address")
    ratelimit_password: str = _setting("30 per hour", _rate_limit, "password changes per client address")
    metrics_enabled: bool = _setting(True, _boolean, "serve /metrics")
    docs_enabled: bool = _setting(True, _boolean, "serve /swagger and /openapi.json")
    page_enabled: bool = _setting(True, _boolean, "serve the page at /")
    log_level: str = _setting("INFO", _log_level, "DEBUG, INFO, WARNING or ERROR")
    workers: int = _setting(None, _integer(1, 256), "gunicorn worker processes", "one per core")
    threads: int = _setting(4, _integer(1, 256), "threads per worker")
    worker_timeout: int = _setting(30, _integer(1, 3600), "seconds until a worker that hangs is replaced")
    graceful_timeout: int = _setting(
        30, _integer(0, 3600), "seconds that a worker has to finish requests when it stops"
    )
    keepalive: int = _setting(
        5, _integer(1, 3600), "seconds that an idle connection stays open; longer than the proxy's in front"
    )
    max_requests: int = _setting(
        0, _integer(0, 10**9), "requests, more or less a tenth, until a worker is replaced; 0: never"
    )
    worker_tmp_dir: Path | None = _setting(
        None, _folder, "folder of the workers' heartbeats, best in memory", "`/dev/shm` where there is one"
    )

    @property
    def token_keys(self) -> tuple[TokenKey, ...]:
        """The keys of access tokens: the first signs, all of them verify."""
        secrets = (self.jwt_secret_key, *self.jwt_secret_key_previous)
        of_secrets = (secret_key(secret) for secret in secrets if secret)
        keys = (self.jwt_private_key_file, *of_secrets, *self.jwt_key_files_previous)
        return tuple(key for key in keys if key)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is the embedded one."""
        return self.database_url.get_backend_name() == "sqlite"

    @property
    def database_file(self) -> Path:
        """The embedded database's file; relative names are in the instance folder."""
        return self.instance_path / (self.database_url.database or "")

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, instance_path: Path | None = None) -> "Settings":
        """Read, check and complete the settings.

        Args:
            environ: the environment, instead of ``.env`` and the process's own.
            instance_path: the folder for run-time state, instead of TASKS_INSTANCE_PATH or ``instance/``.

        Raises:
            ConfigError: an unknown name or an unusable value.
        """
        if environ is None:
            environ = {name: text for name, text in dotenv_values(".env").items() if text is not None} | os.environ
        instance = (instance_path or Path(environ.get("TASKS_INSTANCE_PATH") or ROOT / "instance")).absolute()
        values = _read_file(instance / "settings.cfg") | _read_environment(environ)
        table = _table()
        known: dict[str, Any] = {name: item.default for name, item in table.items()}
        for name, (shown, value) in values.items():
            if name not in table:
                raise ConfigError(f"{shown} is not a setting")
            known[name] = value
        for name, item in table.items():
            if known[name] is not None or item.default is not None:
                try:
                    known[name] = item.metadata["parse"](known[name])
                except ValueError as error:
                    raise ConfigError(f"{values[name][0]} {error}") from None
        return cls(instance_path=instance, **_complete(known, instance))


def _table() -> dict[str, Field[Any]]:
    return {item.name: item for item in fields(Settings) if item.metadata}


def _read_environment(environ: Mapping[str, str]) -> dict[str, tuple[str, object]]:
    return {
        name.removeprefix(PREFIX).lower(): (name, value)
        for name, value in environ.items()
        if name.startswith(PREFIX) and name != "TASKS_INSTANCE_PATH" and not _FOREIGN.fullmatch(name)
    }


def _read_file(path: Path) -> dict[str, tuple[str, object]]:
    try:
        names = runpy.run_path(str(path)) if path.exists() else {}
    except Exception as error:
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}: {error}".replace("\n", " ")) from None
    for name in names:
        if not name.isupper() and name.lower() in _table():
            raise ConfigError(f"{name} in {path} must be written {name.upper()}")
    return {name.lower(): (f"{name} in {path}", value) for name, value in names.items() if name.isupper()}


def _complete(known: dict[str, Any], instance: Path) -> dict[str, Any]:
    if known["upgrade_on_start"] is None:
        known["upgrade_on_start"] = known["database_url"].get_backend_name() == "sqlite"
    if known["workers"] is None:
        known["workers"] = os.cpu_count() or 1
    generated = []
    for name in ("jwt_secret_key", "refresh_token_key"):
        if known[name] is None and not (name == "jwt_secret_key" and known["jwt_private_key_file"]):
            generated.append(f"{PREFIX}{name.upper()}")
            try:
                known[name] = generated_key(instance / name)
            except (OSError, ValueError) as error:
                raise ConfigError(f"{PREFIX}{name.upper()} is not set and {instance / name}: {error}") from None
    return known | {"generated_keys": tuple(generated)}


def markdown_table() -> str:
    """The settings as the table in README; a test holds the two together."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {item.metadata['shown']} | {item.metadata['meaning']} |"
        for name, item in _table().items()
    ]
    return "\n".join(["| setting | default | meaning |", "| --- | --- | --- |", *rows])


settings = cast(Settings, LocalProxy(lambda: current_app.extensions["settings"]))
