"""Rate limits. The library ``limits`` counts in this process's memory, or in Redis for all processes.

While Redis does not answer, each process counts alone.
"""

import logging
import math
import time
from contextlib import suppress
from functools import lru_cache
from typing import Any, NoReturn

import limits
from flask import Flask, current_app, request
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from ..audit import security_event
from ..config import ConfigError, Settings, current_settings
from ..errors import RATE_LIMITED, ApiError
from .sessions import network_of

log = logging.getLogger(__name__)

REDIS_SECONDS = 0.5  # how long Redis may take to answer

parse_rate = lru_cache(limits.parse)


def init_limits(app: Flask, settings: Settings) -> None:
    """Set up the storage of the counters.

    Raises:
        ConfigError: the storage cannot be used.
    """
    uri = settings.ratelimit_storage_uri
    try:
        storage: Any = storage_from_string(uri, wrap_exceptions=True, **_redis_options(uri))
        # An unknown option fails here. A Redis that is down does not.
        with suppress(StorageError):
            storage.get("")
    except Exception as error:  # of many types; some messages quote the password
        raise ConfigError(
            f"TASKS_RATELIMIT_STORAGE_URI cannot be used ({type(error).__name__}). "
            "For Redis: make install EXTRAS=redis"
        ) from None
    app.extensions["limits"] = [
        FixedWindowRateLimiter(each) for each in (storage, MemoryStorage())
    ]


def _redis_options(uri: str) -> Any:
    if not uri.startswith(("redis", "valkey")):
        return {}
    options: dict[str, Any] = {
        "socket_timeout": REDIS_SECONDS,
        "socket_connect_timeout": REDIS_SECONDS,
    }
    if uri.startswith(("redis:", "rediss:")):
        from redis.exceptions import ReadOnlyError

        # After a failover the old primary is read-only: connect again, to the new one.
        options["retry_on_error"] = [ReadOnlyError]
    return options


def network() -> str:
    """Return where this request comes from: its IPv4 address or the /64 of its IPv6 address."""
    return network_of(request.remote_addr) or "unknown"


def count_or_refuse(name: str, *key: str) -> None:
    """Count an attempt and refuse it if it is one too many.

    Args:
        name: of the limit, as in the setting ``ratelimit_<name>``.
        key: what to count by, for example account and client.

    Raises:
        ApiError: RATE_LIMITED.
    """
    if not count(name, *key):
        refuse(name, *key)


def count(name: str, *key: str) -> bool:
    """Count an attempt. Return True if it was allowed."""
    return not current_settings.ratelimit_enabled or bool(_ask("hit", name, *key))


def is_used_up(name: str, *key: str) -> bool:
    """Return True if the next attempt would be one too many."""
    return current_settings.ratelimit_enabled and not _ask("test", name, *key)


def refuse(name: str, *key: str) -> NoReturn:
    """Refuse an attempt.

    Raises:
        ApiError: RATE_LIMITED, with the seconds until the next attempt is allowed.
    """
    security_event("rate_limited", limit=name)
    seconds = _ask("get_window_stats", name, *key).reset_time - time.time()
    raise ApiError(RATE_LIMITED, retry_after=max(1, math.ceil(seconds)))


def _ask(method: str, name: str, *key: str) -> Any:
    rate = parse_rate(getattr(current_settings, f"ratelimit_{name}"))
    # One identifier, because ``limits`` joins several with slashes, which an email can contain too.
    identifier = " ".join((name, *key))
    primary, local = current_app.extensions["limits"]
    try:
        return getattr(primary, method)(rate, identifier)
    except StorageError as error:
        log.warning("Redis does not answer, this process counts alone: %s", error)
        return getattr(local, method)(rate, identifier)
