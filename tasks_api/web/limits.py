"""How often a client address may call a route."""

from flask import request

from .. import attempts
from ..config import current_settings


def count_attempt(route: str) -> None:
    """Count an attempt of the request's client against the setting ``ratelimit_<route>``.

    Raises:
        ApiError: RATE_LIMITED, there were too many.
    """
    client = attempts.client_of(request.remote_addr)
    tried = (getattr(current_settings, f"ratelimit_{route}"), route, client)
    if not attempts.hit(*tried):
        attempts.refuse(*tried)
