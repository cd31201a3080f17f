"""Security events: one log line and one count each. Never a token, a password, a hash or an email."""

import logging

from prometheus_client import Counter

log = logging.getLogger("tasks_api.security")

SECURITY_EVENTS = Counter("tasks_security_events", "Security events by kind", ["event"])


def security_event(event: str, **facts: object) -> None:
    """Record that ``event`` happened; ``facts`` go into the log line, which has address and request id too."""
    SECURITY_EVENTS.labels(event).inc()
    log.warning(event, extra={"event": event} | {name: str(value) for name, value in facts.items()})
