"""Log lines: JSON, each with the id of its request."""

import logging
import sys

from flask import g, has_request_context
from pythonjsonlogger.orjson import OrjsonFormatter


class RequestFilter(logging.Filter):
    """Adds the request's id, address, user and session to every log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Complete the record and let it pass."""
        if has_request_context():
            facts = g.get("log_facts", {})
            caller = g.get("caller")
            # A record about another user must not get the caller's session.
            if caller and vars(record).get("user_id", caller.user_id) == caller.user_id:
                facts = facts | {"user_id": caller.user_id, "session_id": str(caller.session_id)}
            vars(record).update(facts | vars(record))  # the record may be about another session
        return True


def init_logs(level: int) -> None:
    """Send everything from ``level`` up to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RequestFilter())
    names = {"levelname": "level", "name": "logger"}
    line = "%(levelname)s %(name)s %(message)s"
    handler.setFormatter(OrjsonFormatter(line, rename_fields=names, timestamp="time"))
    log = logging.getLogger("tasks_api")
    log.setLevel(level)
    log.propagate = False
    log.handlers = [handler]
