"""How often something may be tried: counts in this process's memory, or in Redis for all."""

import logging
import time
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any, NoReturn, TypeVar, cast

from flask import Flask, current_app
from limits import RateLimitItem, parse
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from .audit import security_event
from .clock import now
from .config import ConfigError, Settings, current_settings
from .errors import RATE_LIMITED, ApiError

log = logging.getLogger(__name__)

STORAGE_PAUSE = 5  # seconds that a storage which failed is left alone

T = TypeVar("T")


class Counters:
    """Counts attempts in ``storage``, and in this process's memory while that does not answer."""

    def __init__(self, storage: Storage) -> None:
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._away_until = 0.0

    def ask(self, question: Callable[[FixedWindowRateLimiter], T]) -> T:
        """The answer of the counts that can be had."""
        if time.monotonic() >= self._away_until:
            try:
                return question(self._shared)
            except StorageError as error:
                log.warning("rate limits are counted by each process alone: %s", error)
                self._away_until = time.monotonic() + STORAGE_PAUSE
        return question(self._own)


def init_attempts(app: Flask, settings: Settings) -> None:
    """Count attempts where the settings say.

    Raises:
        ConfigError: the package for that place is missing.
    """
    try:
        storage: Any = storage_from_string(settings.ratelimit_storage_uri, wrap_exceptions=True)
    except ConfigurationError:
        advice = "needs a package that is not installed; for Redis: make install EXTRAS=redis"
        raise ConfigError(f"TASKS_RATELIMIT_STORAGE_URI {advice}") from None
    app.extensions["attempts"] = Counters(storage)


def client_of(address: str | None) -> str:
    """Whom an address stands for: itself, or of IPv6 the /64, which one subscriber has all to himself."""
    try:
        known = ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(ip_network((known, 64), strict=False)) if known.version == 6 else str(known)


def hit(rate: str, *key: str) -> bool:
    """Count an attempt.

    Args:
        rate: of the settings, as in ``10 per 5 minutes``.
        key: what was tried, and by whom.

    Returns:
        Whether it was not one too many; always, if limits are switched off.
    """
    if not current_settings.ratelimit_enabled:
        return True
    return _counters().ask(lambda counters: counters.hit(_limit(rate), *key))


def is_used_up(rate: str, *key: str) -> bool:
    """Whether one more attempt would be too many."""
    if not current_settings.ratelimit_enabled:
        return False
    return not _counters().ask(lambda counters: counters.test(_limit(rate), *key))


def refuse(rate: str, *key: str) -> NoReturn:
    """Refuse an attempt.

    Raises:
        ApiError: RATE_LIMITED, with the seconds until one more is allowed.
    """
    security_event("rate_limited", limit=rate)
    window = _counters().ask(lambda counters: counters.get_window_stats(_limit(rate), *key))
    raise ApiError(RATE_LIMITED, retry_after=round(window.reset_time - now().timestamp()))


def _counters() -> Counters:
    return cast(Counters, current_app.extensions["attempts"])


@cache
def _limit(rate: str) -> RateLimitItem:
    return parse(rate)
