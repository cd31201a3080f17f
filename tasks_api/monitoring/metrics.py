"""Counts and durations for Prometheus, over all workers."""

import os
from collections.abc import Iterator

from flask import Blueprint, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from ..clock import minute_begun
from ..database.engine import fetch_all
from ..errors import UNAVAILABLE, ApiError
from ..models import refresh_tokens

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

REQUESTS = Histogram(
    "tasks_request_seconds",
    "Duration of requests by route, method and status",
    ["route", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REQUESTS.labels("unmatched", "GET", 404)  # there from the start, see audit.py
IN_FLIGHT = Gauge(
    "tasks_requests_in_flight", "Requests being answered", multiprocess_mode="livesum"
)
_NO_FOLDER = "Somebody has deleted the folder in which the workers count: reload the service."

metrics = Blueprint("metrics", __name__)


class Sessions(Collector):
    """How many sessions live, as the database says; nothing while it does not answer."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Count them."""
        living = refresh_tokens.c.expiry_date > minute_begun()
        try:
            ((count,),) = fetch_all(select(func.count()).where(living))
        except SQLAlchemyError:
            return
        yield GaugeMetricFamily("tasks_sessions", "Living sessions", value=count)


@metrics.get("/metrics")
def show() -> Response:
    """All workers' counts: gunicorn.conf.py names the folder that they share."""
    counted: Collector = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        try:
            counted = MultiProcessCollector(None)
        except ValueError:
            raise ApiError(UNAVAILABLE, _NO_FOLDER) from None
    text = generate_latest(counted) + generate_latest(Sessions())
    return Response(text, content_type=CONTENT_TYPE_LATEST)
