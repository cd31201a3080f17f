"""How often one may try: per client address on routes, per account on passwords."""

import logging
import time
from collections.abc import Callable, Iterator
from functools import cache, wraps
from ipaddress import ip_address, ip_network
from typing import Any, NoReturn, TypeVar, cast

from flask import Flask, current_app, request
from limits import RateLimitItem, parse_many
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from .clock import now
from .config import ConfigError, Settings, settings
from .errors import RATE_LIMITED, ApiError
from .events import security_event

log = logging.getLogger(__name__)

STORAGE_PAUSE = 5  # seconds that a storage which failed is left alone

View = TypeVar("View", bound=Callable[..., Any])
Answer = TypeVar("Answer")
Key = tuple[str, ...]


class Counters:
    """Counts attempts in ``storage``, and in this process's memory while that does not answer."""

    def __init__(self, storage: Storage) -> None:
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._away_until = 0.0

    def hit(self, limit: RateLimitItem, *key: str) -> bool:
        """Count one attempt; whether it was within ``limit``."""
        return self._ask(lambda counters: counters.hit(limit, *key))

    def test(self, limit: RateLimitItem, *key: str) -> bool:
        """Whether one more attempt would be within ``limit``."""
        return self._ask(lambda counters: counters.test(limit, *key))

    def seconds_left(self, limit: RateLimitItem, *key: str) -> int:
        """How long the window still lasts."""
        window = self._ask(lambda counters: counters.get_window_stats(limit, *key))
        return round(window.reset_time - now().timestamp())

    def _ask(self, question: Callable[[FixedWindowRateLimiter], Answer]) -> Answer:
        if time.monotonic() >= self._away_until:
            try:
                return question(self._shared)
            except StorageError as error:
                log.warning("the storage of rate limits does not answer, each process counts alone: %s", error)
                self._away_until = time.monotonic() + STORAGE_PAUSE
        return question(self._own)


def init_limits(app: Flask, values: Settings) -> None:
    """Count attempts where the settings say.

    Raises:
        ConfigError: the package for that place is missing.
    """
    try:
        storage = storage_from_string(values.ratelimit_storage_uri, wrap_exceptions=True)
    except ConfigurationError:
        advice = "needs a package that is not installed; for Redis: make install EXTRAS=redis"
        raise ConfigError(f"TASKS_RATELIMIT_STORAGE_URI {advice}") from None
    app.extensions["counters"] = Counters(cast(Storage, storage))


def _counters() -> Counters:
    return cast(Counters, current_app.extensions["counters"])


@cache
def _limits(rates: str) -> list[RateLimitItem]:
    return parse_many(rates)


def client_address() -> str:
    """Whom a route's limit counts: an address, or the /64 that one IPv6 subscriber has all to himself."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    return str(ip_network((address, 64), strict=False) if address.version == 6 else address)


def limited(name: str) -> Callable[[View], View]:
    """Let a client address call the view as often as the setting ``ratelimit_<name>`` says."""

    def decorator(view: View) -> View:
        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            count_attempt(name)
            return view(*args, **kwargs)

        return cast(View, wrapper)

    return decorator


def count_attempt(name: str) -> None:
    """Count an attempt of the request's client address against the setting ``ratelimit_<name>``.

    Raises:
        ApiError: RATE_LIMITED, there were too many.
    """
    if settings.ratelimit_enabled:
        key = (name, client_address())
        for limit in _limits(getattr(settings, f"ratelimit_{name}")):
            if not _counters().hit(limit, *key):
                _refuse(limit, key)


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
    for limit, key in _failure_limits(account, address):
        everywhere = key == ("account", account)
        if not _counters().test(limit, *key) and not (everywhere and signed_in_here()):
            _refuse(limit, key)


def _refuse(limit: RateLimitItem, key: Key) -> NoReturn:
    security_event("rate_limited", limit=str(limit))
    raise ApiError(RATE_LIMITED, retry_after=_counters().seconds_left(limit, *key))


def count_wrong_password(account: str, address: str | None) -> None:
    """Remember a wrong password for ``account``."""
    for limit, key in _failure_limits(account, address):
        _counters().hit(limit, *key)


def _failure_limits(account: str, address: str | None) -> Iterator[tuple[RateLimitItem, Key]]:
    if settings.ratelimit_enabled:
        for limit in _limits(settings.ratelimit_login_failures):
            yield limit, ("account", account, address or "")
        for limit in _limits(settings.ratelimit_account_failures):
            yield limit, ("account", account)
