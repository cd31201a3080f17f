"""How often something may be tried: counts in this process's memory, or in Redis for all."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Any, NoReturn, TypeVar, cast

from flask import Flask, current_app
from limits import RateLimitItem
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from .audit import security_event
from .clock import now
from .config import ConfigError, Settings, current_settings
from .errors import RATE_LIMITED, ApiError

log = logging.getLogger(__name__)

STORAGE_SECONDS = 0.5  # how long a storage may take for an answer
STORAGE_PAUSE = 5  # seconds that one which failed is left alone

T = TypeVar("T")


class Counters:
    """Counts attempts in ``storage``, and in this process's memory while that does not answer.

    While it is away, one thread tries it every few seconds; the rest do not wait.
    """

    def __init__(self, storage: Storage) -> None:
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._tried_again_at = 0.0  # 0: it is not away

    def ask(self, question: Callable[[FixedWindowRateLimiter], T]) -> T:
        """The answer of the counts that can be had."""
        moment = time.monotonic()
        if moment >= self._tried_again_at:
            if self._tried_again_at:
                self._tried_again_at = moment + STORAGE_PAUSE  # for everybody else
            try:
                answer = question(self._shared)
            except (StorageError, TypeError, ValueError) as error:  # away, or no Redis at all
                log.warning("rate limits are counted by each process alone: %s", error)
                self._tried_again_at = time.monotonic() + STORAGE_PAUSE
            else:
                self._tried_again_at = 0.0
                return answer
        return question(self._own)


def init_attempts(app: Flask, settings: Settings) -> None:
    """Count attempts where the settings say.

    Raises:
        ConfigError: the package for that place is missing, or it knows no such place.
    """
    patience: Any = {"socket_timeout": STORAGE_SECONDS, "socket_connect_timeout": STORAGE_SECONDS}
    name, uri = "TASKS_RATELIMIT_STORAGE_URI", settings.ratelimit_storage_uri
    try:
        storage: Any = storage_from_string(uri, wrap_exceptions=True, **patience)
        with suppress(StorageError):  # it may be away for now
            storage.get("")
    except ConfigurationError:
        raise ConfigError(f"{name} needs a package: make install EXTRAS=redis") from None
    except Exception:  # of many kinds; some quote it
        raise ConfigError(
            f"{name} has a port or an option that Redis' client does not know"
        ) from None
    app.extensions["attempts"] = Counters(storage)


def client_of(address: str) -> str:
    """Whom an address stands for: itself, or of IPv6 the /64, which one subscriber has all to himself."""
    try:
        known = ip_address(address)
    except ValueError:
        return "unknown"
    return str(ip_network((known, 64), strict=False)) if known.version == 6 else str(known)


def hit(rate: RateLimitItem, *key: str) -> bool:
    """Count an attempt.

    Args:
        rate: of the settings.
        key: what was tried, and by whom.

    Returns:
        Whether it was not one too many; always, if limits are switched off.
    """
    if not current_settings.ratelimit_enabled:
        return True
    return _counters().ask(lambda counters: counters.hit(rate, *key))


def is_used_up(rate: RateLimitItem, *key: str) -> bool:
    """Whether one more attempt would be too many."""
    if not current_settings.ratelimit_enabled:
        return False
    return not _counters().ask(lambda counters: counters.test(rate, *key))


def refuse(rate: RateLimitItem, *key: str) -> NoReturn:
    """Refuse an attempt.

    Raises:
        ApiError: RATE_LIMITED, with the seconds until one more is allowed.
    """
    security_event("rate_limited", limit=rate)
    window = _counters().ask(lambda counters: counters.get_window_stats(rate, *key))
    seconds = round(window.reset_time - now().timestamp())
    raise ApiError(RATE_LIMITED, retry_after=max(1, seconds))


def _counters() -> Counters:
    return cast(Counters, current_app.extensions["attempts"])
