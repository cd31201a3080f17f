"""gunicorn's configuration, which it finds here by itself: ``gunicorn wsgi:app`` is the whole service.

Nothing of the service is imported, so that a reload reads it anew. What is not here is gunicorn's default, and
GUNICORN_CMD_ARGS and the command line change anything.
"""

import gc
import math
import os
import resource
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import flask_sqlalchemy  # noqa: F401  Flask and SQLAlchemy, of which workers share the master's copy: 12 MB less each
from dotenv import dotenv_values

# What is wrong with settings the service itself says.
_environ = dict(os.environ)
with suppress(OSError, ValueError):
    _environ = {**dotenv_values(".env"), **os.environ}
_threads = _environ.get("TASKS_THREADS") or ""
# In memory, where there is such a place: a disk that is full shall not end a worker.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def usable_processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """How many processors this process may use: of those it may run on, what a container's quota leaves."""
    has_affinity = hasattr(os, "sched_getaffinity")
    processors = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # "max 100000" where there is no quota
        quota, period = (cgroup / "cpu.max").read_text().split()
        return max(1, min(processors, math.ceil(int(quota) / int(period))))
    with suppress(OSError, ValueError):  # the older kind of control groups
        quota_us = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((cgroup / "cpu/cpu.cfs_period_us").read_text())
        if quota_us > 0:
            return max(1, min(processors, math.ceil(quota_us / period_us)))
    return processors


bind = "127.0.0.1:5217"
if "WEB_CONCURRENCY" not in os.environ:  # gunicorn's own name for it
    workers = usable_processors()
worker_class = "gthread"
threads = int(_threads) if _threads.isdecimal() else 8
# No more than there are files for: a worker that cannot accept a connection ends.
_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
worker_connections = max(2 * threads, min(1000, _files - 4 * threads - 64))
worker_tmp_dir = _MEMORY  # for the workers' heartbeats
limit_request_fields = 64
control_socket_disable = True
# No header names another client, scheme or path; TASKS_TRUSTED_PROXIES is the one way, see tasks_api/web/middleware.py.
forwarded_allow_ips = ""
forwarder_headers = ""
proc_name = "tasks-api"


# The folder where workers count for /metrics, each master's own: after USR2 there are two for a while.
# https://prometheus.github.io/client_python/multiprocess/


def when_ready(_server):
    """Make the folder, when the address is ours and before there is a worker."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="tasks-api-", dir=_MEMORY)


def pre_fork(_server, _worker):
    """Make it anew where it was deleted: systemd empties /dev/shm of whoever logs out (RemoveIPC)."""
    gc.freeze()  # or a worker's first collection would copy all that it shares with the master
    Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(mode=0o700, exist_ok=True)


def child_exit(_server, worker):
    """Forget the gauges of a worker that is gone, and a file that it did not come to fill."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
    for file in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob(f"*_{worker.pid}.db"):
        if not file.stat().st_size:
            file.unlink()


def post_worker_init(_worker):
    """Leave what was made at the start out of garbage collection: a full one stops all threads for 40 ms."""
    gc.collect()
    gc.freeze()


def on_exit(_server):
    """Leave the embedded database in one file, and no folder.

    Of two workers that close the file at once each leaves that to the other.
    """
    with suppress(Exception):  # a service that cannot start has nothing to tidy up
        from tasks_api.config import Settings

        settings = Settings.load()
        if settings.database_file and settings.database_file.exists():
            with closing(sqlite3.connect(settings.database_file)) as last:
                last.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)
