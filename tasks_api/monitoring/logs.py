"""Log lines: JSON on a pipe, readable on a terminal, each with the id of its request."""

import logging
from typing import TextIO

from flask import g, has_request_context
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter


class RequestFilter(logging.Filter):
    """Adds the request's id, address, user and session to every record made while it is served."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything through, completed."""
        if has_request_context():
            facts = g.get("facts", {})
            if caller := g.get("caller"):
                facts = facts | {"user_id": caller.user_id, "session_id": str(caller.session_id)}
            # What the record says itself stands: it may tell of another session.
            vars(record).update(facts | vars(record))
        return True


class OneLine(logging.Formatter):
    """For a terminal: the message and all that is known of it, in one line. Line breaks are shown, not obeyed."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, without the traceback that may follow."""
        facts = (
            f"{name}={fact}" for name, fact in vars(record).items() if name not in RESERVED_ATTRS
        )
        line = " ".join([super().formatMessage(record), *facts])
        return line.replace("\r", "\\r").replace("\n", "\\n")


def init_logs(level: str, stream: TextIO) -> None:
    """Send everything from ``level`` up to ``stream``."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(RequestFilter())
    if stream.isatty():
        handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s %(message)s"))
    else:
        names = {"levelname": "level", "name": "logger"}
        line = "%(levelname)s %(name)s %(message)s"
        handler.setFormatter(OrjsonFormatter(line, rename_fields=names, timestamp="time"))
    log = logging.getLogger("tasks_api")
    log.setLevel(level)
    log.propagate = False
    log.handlers = [handler]
