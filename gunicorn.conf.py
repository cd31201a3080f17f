"""gunicorn's configuration, which it finds here by itself: ``gunicorn wsgi:app`` is the whole service.

Whatever is not here is gunicorn's default. GUNICORN_CMD_ARGS and the command line change anything.
"""

import atexit
import gc
import os
import shutil
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

import flask_sqlalchemy  # noqa: F401  workers share the master's copy of Flask and SQLAlchemy: 12 MB less for each
from dotenv import dotenv_values

environ = {name: value for name, value in os.environ.items() if value}
with suppress(OSError, ValueError):  # create_app() reports the error
    environ = dotenv_values(".env", interpolate=False) | environ
# Use memory if possible, because a full disk would stop the workers.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108

if not os.environ.get("PORT"):
    bind = "127.0.0.1:5217"  # with PORT gunicorn listens on that port of all addresses
has_affinity = hasattr(os, "sched_getaffinity")
processors = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
workers = int(environ.get("WEB_CONCURRENCY") or processors)
worker_class = "gthread"
_threads = environ.get("TASKS_THREADS") or ""
# create_app() reports a wrong value.
threads = max(1, int(_threads)) if _threads.isdecimal() else 8
# Seconds: longer than load balancers keep idle connections (Heroku: 90).
keepalive = 100
# Idle ones too. The usual limit of open files is 1024.
worker_connections = 800
worker_tmp_dir = _MEMORY
control_socket_disable = True
# gunicorn trusts no forwarded header. Behind a proxy set TASKS_TRUSTED_PROXIES.
forwarded_allow_ips = ""
forwarder_headers = ""
proc_name = "tasks-api"


# The workers count for /metrics in a folder of this master: https://prometheus.github.io/client_python/multiprocess/
# Their files are named by slot (0, 1, ...) and not by pid. A new worker uses the files of the one before it, so the
# folder does not grow with every worker that ends.


def when_ready(server):
    """Make the folder before the first worker starts."""
    folder = tempfile.mkdtemp(prefix="tasks-api-", dir=_MEMORY)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder

    @atexit.register  # gunicorn does not call on_exit() if a worker fails to start
    def remove():
        if os.getpid() == server.pid:
            shutil.rmtree(folder, ignore_errors=True)


def pre_fork(server, worker):
    """Give the worker the lowest free slot."""
    # systemd empties /dev/shm when a user logs out (RemoveIPC).
    Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(mode=0o700, exist_ok=True)
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in count() if slot not in taken)
    gc.freeze()  # otherwise a worker's first garbage collection would copy the memory that it shares with the master


def post_fork(_server, worker):
    """Count in the files of the worker's slot."""
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(lambda: worker.slot)


def post_worker_init(_worker):
    """Leave the objects of the start out of garbage collection, which would stop all threads for 40 ms."""
    gc.collect()
    gc.freeze()


def child_exit(_server, worker):
    """Forget the gauges of a worker that ended."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.slot)
