"""Counts and durations for Prometheus, over all workers."""

import os
from collections.abc import Iterator

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from ..clock import current_minute
from ..database.engine import fetch_all
from ..database.tables import SESSION
from ..errors import UNAVAILABLE, ApiError

REQUESTS = Histogram(
    "tasks_request_seconds",
    "Duration of requests by route, method and status",
    ["route", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
IN_FLIGHT = Gauge(
    "tasks_requests_in_flight", "Requests being answered", multiprocess_mode="livesum"
)

metrics = Blueprint("metrics", __name__)


class Sessions(Collector):
    """Counts the active sessions. It yields nothing while the database does not answer."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauge."""
        living = SESSION.expiry_date > current_minute()
        try:
            ((count,),) = fetch_all(select(func.count()).where(living))
        except SQLAlchemyError:
            return
        yield GaugeMetricFamily("tasks_sessions", "Living sessions", value=count)


@metrics.get("/metrics")
def show() -> Response:
    """Return the counts of all workers, which share a folder that gunicorn.conf.py makes."""
    registry: Collector = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        try:
            registry = MultiProcessCollector(None)
        except ValueError:
            raise ApiError(
                UNAVAILABLE, "The folder of PROMETHEUS_MULTIPROC_DIR is gone. Restart gunicorn."
            ) from None
    text = generate_latest(registry) + generate_latest(Sessions())
    return Response(text, content_type=CONTENT_TYPE_LATEST)
