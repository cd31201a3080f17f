"""How often one may try: per client address on routes, per account on passwords."""

from flask import Flask, request
from flask_limiter import Limiter
from limits import parse_many

from .clock import now
from .config import Settings, settings
from .errors import RATE_LIMITED, ApiError
from .events import security_event


def client_address() -> str:
    """Whom a route's limit counts."""
    return request.remote_addr or "unknown"


limiter = Limiter(key_func=client_address, strategy="fixed-window", in_memory_fallback_enabled=True)


def init_limits(app: Flask, values: Settings) -> None:
    """Count attempts where the settings say."""
    app.config["RATELIMIT_ENABLED"] = values.ratelimit_enabled
    app.config["RATELIMIT_STORAGE_URI"] = values.ratelimit_storage_uri
    limiter.init_app(app)


def refuse_guessing(account: str) -> None:
    """Refuse to look at a password while ``account`` has seen too many wrong ones.

    Raises:
        ApiError: RATE_LIMITED, with the seconds until the window ends.
    """
    if not settings.ratelimit_enabled:
        return
    for limit in parse_many(settings.ratelimit_login_failures):
        if not limiter.limiter.test(limit, "account", account):
            security_event("rate_limited", limit=str(limit))
            reset = limiter.limiter.get_window_stats(limit, "account", account).reset_time
            raise ApiError(RATE_LIMITED, retry_after=round(reset - now().timestamp()))


def count_wrong_password(account: str) -> None:
    """Remember a wrong password for ``account``."""
    if settings.ratelimit_enabled:
        for limit in parse_many(settings.ratelimit_login_failures):
            limiter.limiter.hit(limit, "account", account)
