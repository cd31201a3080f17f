"""gunicorn's threaded worker, for clients that are slow or pretend to be."""

import re
import socket
import time
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from .web import MAX_BODY_BYTES

ARRIVAL_SECONDS = 10  # how long a request may take to arrive
_MAX_HEAD_BYTES = 32 * 1024  # more than gunicorn's limits let pass
_MAX_CHUNKED_BYTES = 8 * MAX_BODY_BYTES  # chunks of one byte each take six
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,10})[ \t]*\r\n", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)[^\r\n]*\r\n")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class Worker(ThreadWorker):  # type: ignore[misc]
    """Gives a thread to a request only when all of it has arrived.

    gunicorn's own worker reads in the thread, so that as many slow clients as there are threads starve everybody
    else. Here they wait in the kernel's buffers, and are looked at again only when more of them has come. Over
    TLS nothing can be seen before it is decrypted: there a proxy in front has to do it.
    """

    def enqueue_req(self, conn: Any) -> None:
        """Submit the connection's request to a thread, or wait for the rest of it."""
        missing = _missing(conn)
        if not missing:
            conn.deadline, conn.continued = None, False
            super().enqueue_req(conn)
            return
        conn.deadline = getattr(conn, "deadline", None) or time.monotonic() + ARRIVAL_SECONDS
        conn.timeout = conn.deadline
        conn.sock.setblocking(False)
        self.pending_conns.append(conn)  # gunicorn closes those whose time has come
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))


def _missing(conn: Any) -> bool:
    """Whether more has to come; if so, the socket becomes readable when it does."""
    if conn.cfg.is_ssl or (conn.parser and conn.parser.unreader.buf.getvalue()):
        return False
    try:
        seen = conn.sock.recv(_MAX_HEAD_BYTES + _MAX_CHUNKED_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        missing = bool(seen) and not is_whole(seen)
        if missing and _EXPECT.search(seen) and b"\r\n\r\n" in seen and not getattr(conn, "continued", False):
            conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            conn.continued = True
    except BlockingIOError:
        seen, missing = b"", True
    except OSError:
        return False
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(seen) + 1 if missing else 1)
    return missing


def is_whole(seen: bytes) -> bool:
    """Whether ``seen`` begins with all of a request, or with one that will be refused as soon as it is read."""
    head, end, body = seen.partition(b"\r\n\r\n")
    if not end:
        return len(seen) >= _MAX_HEAD_BYTES
    head += b"\r\n"
    if _CHUNKED.search(head):
        return _chunks_end(body)
    length = _LENGTH.search(head)
    return length is None or len(body) >= int(length[1]) or int(length[1]) > MAX_BODY_BYTES


def _chunks_end(body: bytes) -> bool:
    at = decoded = 0
    while chunk := _CHUNK.match(body, at):
        size = int(chunk[1], 16)
        if size == 0:
            return body.startswith(b"\r\n", chunk.end()) or b"\r\n\r\n" in body[chunk.end() :]  # trailers end so
        decoded += min(size, len(body) - chunk.end())
        at = min(chunk.end() + size + 2, len(body) + 1)
    broken = b"\r\n" in body[at:]  # a line that begins no chunk
    return broken or decoded > MAX_BODY_BYTES or len(body) >= _MAX_CHUNKED_BYTES
