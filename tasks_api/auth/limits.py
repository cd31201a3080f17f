"""How often something may be tried: Flask-Limiter's counts, in each process's memory or in Redis for all.

While Redis does not answer, each process counts alone.
"""

import math
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request
from flask_limiter import Limiter, RateLimitExceeded

from ..audit import security_event
from ..config import ConfigError, Settings, current_settings
from ..errors import RATE_LIMITED, ApiError
from ..web.error_answers import render
from .access_tokens import caller
from .sessions import client_of, is_signed_in_at

STORAGE_SECONDS = 0.5  # how long Redis may take to answer

limiter = Limiter(lambda: _client())


def init_limits(app: Flask, settings: Settings) -> None:
    """Count where the settings say.

    Raises:
        ConfigError: the storage cannot be used.
    """
    app.config.update(
        RATELIMIT_ENABLED=settings.ratelimit_enabled,
        RATELIMIT_STORAGE_URI=settings.ratelimit_storage_uri,
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
        RATELIMIT_SWALLOW_ERRORS=True,
    )
    if "redis" in settings.ratelimit_storage_uri:
        timeouts = {"socket_timeout": STORAGE_SECONDS, "socket_connect_timeout": STORAGE_SECONDS}
        app.config["RATELIMIT_STORAGE_OPTIONS"] = timeouts
    try:
        limiter.init_app(app)
    except Exception as error:  # of many types; some messages quote the password
        raise ConfigError(
            f"TASKS_RATELIMIT_STORAGE_URI cannot be used ({type(error).__name__}). "
            "Redis needs a package: make install EXTRAS=redis"
        ) from None
    app.register_error_handler(RateLimitExceeded, _refused)


def _refused(error: RateLimitExceeded) -> Response:
    limit = limiter.current_limit
    seconds = limit.reset_at - time.time() if limit else error.limit.limit.get_expiry()
    security_event("rate_limited", limit=error.limit.limit)
    return render(ApiError(RATE_LIMITED, retry_after=max(1, math.ceil(seconds))))


def limit(name: str, key: Callable[[], str] | None = None, **options: Any) -> Any:
    """Limit calls of a view by the setting ``ratelimit_<name>``.

    Args:
        name: of the setting. Views with the same name share their counts.
        key: whom a call counts for; the client's address if not given.
        options: for ``Limiter.shared_limit``.
    """

    def rate() -> str:
        return str(getattr(current_settings, f"ratelimit_{name}"))

    return limiter.shared_limit(rate, scope=name, key_func=key, **options)


def failed_logins(view: Any) -> Any:
    """Limit failed logins of one account: from one client, and from everywhere but where its user is signed in."""
    options = {"deduct_when": lambda response: response.status_code == 401}
    view = limit("login_failures", lambda: f"{_account()} {_client()}", **options)(view)
    exempt = {"exempt_when": lambda: is_signed_in_at(g.body["email"], _client())}
    return limit("account_failures", _account, **options, **exempt)(view)


def passwords_of_session(exempt_when: Callable[[], bool] | None = None) -> Any:
    """Limit calls that check the current password. They count by session, so nobody can use up another's limit."""
    return limit("password", lambda: str(caller().session_id), exempt_when=exempt_when)


def _client() -> str:
    return client_of(request.remote_addr) or "unknown"


def _account() -> str:
    return str(g.body["email"]).casefold()
