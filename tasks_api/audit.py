"""Security events: one log line and one count each. Never a token, a password, a hash or an email."""

import logging

from prometheus_client import Counter

log = logging.getLogger("tasks_api.security")

SECURITY_EVENTS = Counter(
    "tasks_security_events", "Security events by kind and reason", ["event", "reason"]
)

# Of a session's end: somebody stole a token.
_TWO_HOLDERS = {"replay", "void_used"}

# They begin at 0, or an alert would not see the first: what begins at 1 does not increase. And they make the file, so
# that a folder that is deleted ends no request.
SECURITY_EVENTS.labels("access_token_forged", "")
for _reason in _TWO_HOLDERS:
    SECURITY_EVENTS.labels("session_ended", _reason)

# What happens every day; everything else is a warning.
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
    """Record that ``event`` happened.

    Args:
        event: its kind; SECURITY.md lists them.
        facts: what the log line says beside address and request id; None is left out.
    """
    SECURITY_EVENTS.labels(event, facts.get("reason", "")).inc()
    known = {
        name: fact if isinstance(fact, int) else str(fact)
        for name, fact in facts.items()
        if fact is not None
    }
    is_ordinary = event in _ORDINARY and facts.get("reason") not in _TWO_HOLDERS
    level = logging.INFO if is_ordinary else logging.WARNING
    log.log(level, event, extra=known | {"event": event})
