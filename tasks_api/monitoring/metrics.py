"""Counts and durations for Prometheus, over all workers."""

import os

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

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
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
