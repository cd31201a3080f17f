"""Every setting: its name, default and check, one line each. docs/settings.md explains them.

The setting ``max_sessions``, for example, is the environment variable TASKS_MAX_SESSIONS. A ``.env`` file in the
working directory can set it too; the environment wins.
"""

import os
import re
import sys
from logging import INFO
from pathlib import Path
from typing import Any, cast

import click
from dotenv import dotenv_values
from environs import Env, EnvValidationError, ValidationError
from flask import current_app
from limits import parse
from marshmallow.validate import ContainsNoneOf, OneOf, Range, Regexp
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from werkzeug.local import LocalProxy

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "sql" / "sqlserver").is_dir():  # installed as a wheel: setup.cfg puts sql/ there
    ROOT = Path(sys.prefix) / "share" / "tasks-api"
PREFIX = "TASKS_"

# Variables of the tests, and those that Kubernetes sets for a Service called "tasks".
_NOT_SETTINGS = re.compile(
    PREFIX + r"(TEST_.*|PORT(_.*)?|SERVICE_.*|.*_SERVICE_(HOST|PORT.*)|.*_PORT(_.*)?)"
)
# An origin as browsers send it: lower case, no path, no default port.
_ORIGIN = re.compile(
    r"(?!http://.*:80$|https://.*:443$)([a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]*[a-z0-9\]]|file://)"
)
_ODBC_NAMES = {
    "data source": "Server",
    "initial catalog": "Database",
    "user id": "UID",
    "user": "UID",
    "password": "PWD",
    "integrated security": "Trusted_Connection",
}


class ConfigError(click.ClickException):
    """A setting that cannot be used. The message is one line that names the setting."""


def _check_key(key: str) -> None:
    if len(key.encode()) < 32 or "," in key:  # lists of keys are split at commas
        raise ValidationError("A key needs at least 32 bytes and no comma.")


def _check_keys(keys: list[str]) -> None:
    for key in keys:
        _check_key(key)


def _check_rate(rate: str) -> None:
    try:
        parse(rate)
    except ValueError:
        raise ValidationError("Must be a rate like '10 per minute'.") from None


def _check_origins(origins: list[str]) -> None:
    if origins != ["*"] and not all(map(_ORIGIN.fullmatch, origins)):
        raise ValidationError(
            "Must be * alone, or origins as browsers send them: https://app.example.com"
        )


def _check_database_url(address: str) -> None:
    # The messages do not quote the address, because it can hold a password.
    if "://" in address.partition("=")[0]:
        try:
            url = make_url(address)
        except (ArgumentError, ValueError):
            raise ValidationError("Not a valid SQLAlchemy URL.") from None
        if url.drivername not in ("sqlite", "mssql", "mssql+pyodbc"):
            raise ValidationError("The URL must begin with sqlite:/// or mssql://.")
        if url.drivername == "sqlite" and (url.query or url.database in (None, "", ":memory:")):
            raise ValidationError("The URL must name a database file: sqlite:///tasks.db")
        return
    without_quoted_values = re.sub(r"\{([^}]|\}\})*\}", "", address)
    names = re.findall(r"(?:^|;)\s*([^=;]+?)\s*=", without_quoted_values)
    if not names:
        raise ValidationError("Must be an SQLAlchemy URL or an ODBC connection string.")
    for name in names:
        if odbc_name := _ODBC_NAMES.get(name.lower()):
            raise ValidationError(
                f"{name} is an ADO.NET keyword. The ODBC keyword is {odbc_name}."
            )


class Settings:
    """The settings of one application, read from the environment and ``.env``.

    Raises:
        ConfigError: an unknown name or an unusable value.
    """

    def __init__(self) -> None:
        _load_dotenv()
        env = Env(prefix=PREFIX, eager=False)
        none_blank = ContainsNoneOf([""], error="Must not be blank.")

        # fmt: off
        self.instance_path = env.path("INSTANCE_PATH", ROOT / "instance").absolute()
        # An SQLAlchemy URL or an ODBC connection string; a relative SQLite file is in the instance folder.
        self.database_url = env.str("DATABASE_URL", "sqlite:///tasks.db", validate=_check_database_url)
        self.upgrade_on_start = env.bool("UPGRADE_ON_START", str(self.database_url).startswith("sqlite:"))
        # Without a key the service generates one in the instance folder.
        self.jwt_secret_key = env.str("JWT_SECRET_KEY", None, validate=_check_key)
        self.jwt_secret_key_previous = env.list("JWT_SECRET_KEY_PREVIOUS", [], str.strip, validate=_check_keys)
        self.jwt_private_key_file = env.str("JWT_PRIVATE_KEY_FILE", None)
        self.jwt_key_files_previous = env.list("JWT_KEY_FILES_PREVIOUS", [], str.strip)
        self.refresh_token_key = env.str("REFRESH_TOKEN_KEY", None, validate=_check_key)
        self.refresh_token_key_previous = env.list("REFRESH_TOKEN_KEY_PREVIOUS", [], str.strip, validate=_check_keys)
        self.jwt_issuer = env.str("JWT_ISSUER", "tasks-api")
        # The first audience is this service; the others verify its access tokens too.
        self.jwt_audience = env.list("JWT_AUDIENCE", ["tasks-api"], str.strip, validate=none_blank)
        self.access_token_seconds = env.int("ACCESS_TOKEN_SECONDS", 900, validate=Range(1, 86_400))
        self.refresh_token_days = env.int("REFRESH_TOKEN_DAYS", 14, validate=Range(1, 3650))
        self.session_max_days = env.int("SESSION_MAX_DAYS", 90, validate=Range(1, 3650))
        self.refresh_retry_seconds = env.int("REFRESH_RETRY_SECONDS", 60, validate=Range(0, 600))
        self.max_sessions = env.int("MAX_SESSIONS", 20, validate=Range(1, 1000))
        self.password_iterations = env.int("PASSWORD_ITERATIONS", 600_000, validate=Range(100_000, 10_000_000))
        self.cors_origins = env.list("CORS_ORIGINS", [], str.strip, validate=_check_origins)
        self.cookie_samesite = env.str("COOKIE_SAMESITE", "Strict", validate=OneOf(["Strict", "Lax", "None"]))
        self.cookie_name = env.str("COOKIE_NAME", "tasks_refresh", validate=Regexp(r"[A-Za-z0-9_.-]+\Z"))
        self.trusted_proxies = env.int("TRUSTED_PROXIES", 0, validate=Range(0, 10))
        self.ratelimit_enabled = env.bool("RATELIMIT_ENABLED", True)
        self.ratelimit_storage_uri = env.str("RATELIMIT_STORAGE_URI", "memory://")
        self.ratelimit_login = env.str("RATELIMIT_LOGIN", "60 per minute", validate=_check_rate)
        self.ratelimit_login_failures = env.str("RATELIMIT_LOGIN_FAILURES", "10 per 5 minutes", validate=_check_rate)
        self.ratelimit_account_failures = env.str("RATELIMIT_ACCOUNT_FAILURES", "100 per hour", validate=_check_rate)
        self.ratelimit_signup = env.str("RATELIMIT_SIGNUP", "60 per hour", validate=_check_rate)
        self.ratelimit_password = env.str("RATELIMIT_PASSWORD", "30 per hour", validate=_check_rate)
        self.metrics_enabled = env.bool("METRICS_ENABLED", True)
        self.docs_enabled = env.bool("DOCS_ENABLED", True)
        self.page_enabled = env.bool("PAGE_ENABLED", True)
        self.log_level = env.log_level("LOG_LEVEL", INFO)
        self.threads = env.int("THREADS", 8, validate=Range(1, 256))
        # fmt: on

        known = {PREFIX + name.upper() for name in vars(self)}
        for name in os.environ:
            if (
                name.startswith(PREFIX)
                and name not in known
                and not _NOT_SETTINGS.fullmatch(name)
            ):
                raise ConfigError(f"{name} is not a setting.")
        try:
            env.seal()
        except EnvValidationError as error:
            name, (message, *_) = next(iter(cast(Any, error).error_messages.items()))
            raise ConfigError(f"{name}: {message}") from None

    @property
    def database_file(self) -> Path | None:
        """The embedded database's file; None on SQL Server."""
        if not self.database_url.startswith("sqlite:"):
            return None
        return self.instance_path / str(make_url(self.database_url).database)


def _load_dotenv() -> None:
    """Copy ``.env`` into the environment, whose own values win. Then remove settings that are empty."""
    try:
        as_written = dotenv_values(".env", interpolate=False)
        expanded = dotenv_values(".env")
    except (OSError, ValueError):  # for example UTF-16, which PowerShell writes
        raise ConfigError(f"{Path('.env').absolute()} cannot be read as text in UTF-8.") from None
    for name, value in as_written.items():
        # The flask command has loaded .env already and has expanded ${NAME}. Put the literal value back.
        if value and os.environ.get(name, "") in ("", expanded[name]):
            os.environ[name] = value
    for name in [
        name
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and not value.strip()
    ]:
        del os.environ[name]


current_settings = cast(Settings, LocalProxy(lambda: current_app.extensions["settings"]))
