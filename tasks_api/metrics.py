"""Counts and durations for Prometheus, over all workers."""

import os

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

REQUESTS = Histogram(
    "tasks_request_seconds",
    "Duration of requests by route, method and status",
    ["route", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

metrics = Blueprint("metrics", __name__)


def observe(route: str, method: str, status: int, seconds: float) -> None:
    """Count one answered request under its route, never under its path."""
    REQUESTS.labels(route, method if method in _METHODS else "other", status).observe(seconds)


@metrics.get("/metrics")
def show() -> Response:
    """All workers' counts: gunicorn_conf.py names the folder that they share."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
