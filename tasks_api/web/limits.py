"""How often a client address may call a route."""

from flask import request

from .. import attempts
from ..config import current_settings


def count_attempt(route: str) -> None:
    """Count an attempt of the request's client address against the setting ``ratelimit_<route>``.

    Raises:
        ApiError: RATE_LIMITED, there were too many.
    """
    if current_settings.ratelimit_enabled:
        rate = getattr(current_settings, f"ratelimit_{route}")
        client = attempts.client_of(request.remote_addr)
        if not attempts.hit(rate, route, client):
            attempts.refuse(rate, route, client)
