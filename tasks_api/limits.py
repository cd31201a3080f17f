"""How often one may try: per client address on routes, per account on passwords."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import NoReturn

from flask import Flask, request
from flask_limiter import Limiter
from limits import RateLimitItem, parse_many
from limits.errors import ConfigurationError

from .clock import now
from .config import ConfigError, Settings, settings
from .errors import RATE_LIMITED, ApiError
from .events import security_event


def client_address() -> str:
    """Whom a route's limit counts: an address, or the /64 that one IPv6 subscriber has all to himself."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    return str(ip_network((address, 64), strict=False) if address.version == 6 else address)


limiter = Limiter(key_func=client_address, strategy="fixed-window", in_memory_fallback_enabled=True)


def init_limits(app: Flask, values: Settings) -> None:
    """Count attempts where the settings say.

    Raises:
        ConfigError: the package for that place is missing.
    """
    app.config["RATELIMIT_ENABLED"] = values.ratelimit_enabled
    app.config["RATELIMIT_STORAGE_URI"] = values.ratelimit_storage_uri
    try:
        limiter.init_app(app)
    except ConfigurationError:
        advice = "needs a package that is not installed; for Redis: make install EXTRAS=redis"
        raise ConfigError(f"TASKS_RATELIMIT_STORAGE_URI {advice}") from None


def refuse_guessing(account: str, address: str | None, signed_in_here: Callable[[], bool]) -> None:
    """Refuse to look at a password while too many wrong ones were tried.

    From one address an account can be tried a few times; from all addresses together more often, and whoever
    sits where the user is signed in is not held up by what others do. So nobody locks somebody else out.

    Args:
        account: whose password, the same for an account that does not exist.
        address: where the request came from.
        signed_in_here: whether ``account`` has a session at ``address``; asked only when it matters.

    Raises:
        ApiError: RATE_LIMITED, with the seconds until the window ends.
    """
    for limit, *key in _failure_limits(account, address):
        if not limiter.limiter.test(limit, *key) and not (key == ["account", account] and signed_in_here()):
            _refuse(limit, *key)


def refuse_refreshing() -> None:
    """Count a refused refresh of the request's client address.

    Raises:
        ApiError: RATE_LIMITED, there were too many.
    """
    if settings.ratelimit_enabled:
        for limit in parse_many(settings.ratelimit_refresh):
            if not limiter.limiter.hit(limit, "refresh", client_address()):
                _refuse(limit, "refresh", client_address())


def _refuse(limit: RateLimitItem, *key: str) -> NoReturn:
    security_event("rate_limited", limit=str(limit))
    reset = limiter.limiter.get_window_stats(limit, *key).reset_time
    raise ApiError(RATE_LIMITED, retry_after=round(reset - now().timestamp()))


def count_wrong_password(account: str, address: str | None) -> None:
    """Remember a wrong password for ``account``."""
    for limit, *key in _failure_limits(account, address):
        limiter.limiter.hit(limit, *key)


def _failure_limits(account: str, address: str | None) -> Iterator[tuple[RateLimitItem, *tuple[str, ...]]]:
    if settings.ratelimit_enabled:
        for limit in parse_many(settings.ratelimit_login_failures):
            yield limit, "account", account, address or ""
        for limit in parse_many(settings.ratelimit_account_failures):
            yield limit, "account", account
