"""Security events: one log line and one count each. They never contain a token, a password, a hash or an email."""

import logging

from prometheus_client import Counter

log = logging.getLogger("tasks_api.security")

SECURITY_EVENTS = Counter(
    "tasks_security_events", "Security events by kind and reason", ["event", "reason"]
)

# Reasons of session_ended that mean theft: two parties held tokens of the session.
THEFT_REASONS = ("replay", "void_used")

# Create these counters at 0. Prometheus cannot see the first event if the series starts at 1.
SECURITY_EVENTS.labels("access_token_forged", "")
for _reason in THEFT_REASONS:
    SECURITY_EVENTS.labels("session_ended", _reason)

# These happen every day and are logged as INFO. All others are warnings.
_ORDINARY = {
    "signed_up",
    "login_ok",
    "password_changed",
    "session_ended",
    "user_activated",
    "user_changed",
    "user_deleted",
    "user_exported",
}


def security_event(event: str, **facts: object) -> None:
    """Log and count a security event.

    Args:
        event: its kind; SECURITY.md lists them.
        facts: fields of the log line; None is left out. ``reason`` also becomes a label of the metric.
    """
    reason = facts.get("reason", "")
    SECURITY_EVENTS.labels(event, reason).inc()
    extra = {
        name: fact if isinstance(fact, int) else str(fact)
        for name, fact in facts.items()
        if fact is not None
    }
    is_ordinary = event in _ORDINARY and reason not in THEFT_REASONS
    log.log(
        logging.INFO if is_ordinary else logging.WARNING, event, extra=extra | {"event": event}
    )
