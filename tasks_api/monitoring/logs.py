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
            if caller := g.get("caller"):
                facts = facts | {"user_id": caller.user_id, "session_id": str(caller.session_id)}
            # Fields of the record win: it may be about another session.
            vars(record).update(facts | vars(record))
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
