"""gunicorn's configuration: ``gunicorn --config tasks_api/gunicorn_conf.py wsgi:app``."""

import atexit
import gc
import itertools
import os
import resource
import shutil
import socket
import sqlite3
import sys
import tempfile
from contextlib import closing, suppress
from typing import Any

from prometheus_client import multiprocess, values

# In memory: a disk that is full shall not end a worker.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108

# Before anything of the service is imported, for then its counts are made. That is why this file is named by its
# path: as a module of the package it would be imported after the package. A reload executes it once more.
if "tasks_api" not in sys.modules:
    _folder = tempfile.mkdtemp(prefix="tasks-api-metrics-", dir=MEMORY)
    _owner = os.getpid()
    # A worker counts under the number of its place, and whoever takes the place goes on where the last one stopped:
    # under process ids each worker that ever was would leave its files in memory.
    os.environ |= {"PROMETHEUS_MULTIPROC_DIR": _folder, "WORKER_PLACE": "0"}
    values.ValueClass = values.MultiProcessValue(lambda: os.environ["WORKER_PLACE"])

    @atexit.register
    def _clean_up() -> None:
        if os.getpid() == _owner:  # workers inherit the hook
            shutil.rmtree(_folder, ignore_errors=True)


from tasks_api.config import ConfigError, Settings

try:
    _settings = Settings.load()
except ConfigError as error:
    raise SystemExit(f"tasks-api: {error}") from None

bind = "127.0.0.1:5217"
workers = _settings.workers
worker_class = "tasks_api.worker.Worker"
threads = _settings.threads
# No more than there are files for: a worker that cannot accept a connection ends.
_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
worker_connections = max(2 * threads, min(1000, _files - 4 * threads - 64))
timeout = _settings.worker_timeout
graceful_timeout = _settings.graceful_timeout
keepalive = _settings.keepalive
max_requests = _settings.max_requests
max_requests_jitter = max_requests // 10
worker_tmp_dir = str(_settings.worker_tmp_dir) if _settings.worker_tmp_dir else MEMORY
sendfile = False  # it waits for ever for a client that does not read, see worker.py
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
control_socket_disable = True
# No header names another client, scheme or path; TASKS_TRUSTED_PROXIES is the one way, see web.py.
forwarded_allow_ips = ""
forwarder_headers = ""
loglevel = "warning"
proc_name = "tasks-api"


def on_starting(server: Any) -> None:
    """Refuse an address that is in use, in one sentence."""
    for address in server.cfg.address:
        if isinstance(address, tuple):
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            try:
                socket.create_server(address, family=family).close()
            except (OSError, OverflowError) as error:
                said = getattr(error, "strerror", None) or error
                reason = f"{address[0]}:{address[1]}: {said}. Choose another with HOST= or PORT="
                raise SystemExit(f"tasks-api: cannot listen on {reason}") from None


def when_ready(server: Any) -> None:
    """Say where the service is."""
    scheme = "https" if server.cfg.is_ssl else "http"
    for host, port in (address for address in server.cfg.address if isinstance(address, tuple)):
        name = "localhost" if host in ("127.0.0.1", "::1", "0.0.0.0", "::") else host  # noqa: S104
        swagger = f"  (Swagger: {scheme}://{name}:{port}/swagger)" if _settings.docs_enabled else ""
        print(f"Tasks API: {scheme}://{name}:{port}{swagger}", flush=True)


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker a place that no other has."""
    taken = {other.place for other in server.WORKERS.values()}
    worker.place = next(place for place in itertools.count(1) if place not in taken)


def post_fork(_server: Any, worker: Any) -> None:
    """Count under the worker's place."""
    os.environ["WORKER_PLACE"] = str(worker.place)


def post_worker_init(_worker: Any) -> None:
    """Leave what was made at the start out of garbage collection: a full one stops all threads for 40 ms."""
    gc.collect()
    gc.freeze()


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the live gauges of a worker that is gone."""
    multiprocess.mark_process_dead(worker.place)


def on_exit(_server: Any) -> None:
    """Leave the embedded database in one file: of two workers that close it at once each leaves that to the other."""
    if _settings.is_sqlite and _settings.database_file.exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(_settings.database_file)) as last:
            last.execute("PRAGMA wal_checkpoint(TRUNCATE)")
