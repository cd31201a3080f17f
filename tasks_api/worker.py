"""gunicorn's threaded worker, for clients that are slow or pretend to be."""

import re
import socket
import time
from collections import deque
from enum import Enum
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from .web import MAX_BODY_BYTES

ARRIVAL_SECONDS = 10  # how long a request may take to arrive
# Where patience ends: chunks of one byte each take six, and a head is much smaller.
_MAX_SEEN_BYTES = 8 * MAX_BODY_BYTES
_MOSTLY_ENOUGH_BYTES = 16 * 1024  # room for the most takes 15 microseconds a request to make
_LOOK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*0*(\d{1,10})[ \t]*\r\n", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)[^\r\n]*\r\n")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class Worker(ThreadWorker):  # type: ignore[misc]
    """Gives a thread to a request only when all of it has arrived.

    gunicorn's own worker reads in the thread, so that as many slow clients as there are threads starve everybody
    else. Here they wait in the kernel's buffers, and are looked at again only when more of them has come. Over
    TLS nothing can be seen before it is decrypted: there a proxy in front has to do it.
    """

    pending_conns: deque[Any]

    def enqueue_req(self, conn: Any) -> None:
        """Submit the connection's request to a thread, or wait for the rest of it."""
        try:
            missing = _missing(conn)
        except Exception as error:  # of one connection, and no reason to lose the worker
            self.log.debug("Closing connection. %s", error)
            missing = _Missing.FOR_EVER
        if missing is _Missing.NOTHING:
            conn.deadline, conn.seen, conn.continued = None, 0, False
            super().enqueue_req(conn)
            return
        now = time.monotonic()
        conn.deadline = getattr(conn, "deadline", None) or now + ARRIVAL_SECONDS
        if missing is _Missing.FOR_EVER or now >= conn.deadline:
            self.nr_conns -= 1
            conn.close()
            return
        conn.timeout = conn.deadline
        conn.sock.setblocking(False)
        # In the order of their deadlines, which gunicorn counts on when it closes those whose time has come.
        self.pending_conns.append(conn)
        if len(self.pending_conns) > 1 and self.pending_conns[-2].timeout > conn.timeout:
            self.pending_conns = deque(sorted(self.pending_conns, key=lambda pending: pending.timeout))
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))


class _Missing(Enum):
    """What has to come before a thread can answer."""

    NOTHING = 0
    SOMETHING = 1
    FOR_EVER = 2


def _missing(conn: Any) -> _Missing:
    """Whether more has to come; if so, the socket becomes readable when it does."""
    if conn.cfg.is_ssl:
        return _Missing.NOTHING
    before, waited = getattr(conn, "seen", 0), getattr(conn, "deadline", None) is not None
    try:
        seen = _peek(conn.sock, _MOSTLY_ENOUGH_BYTES)
        if len(seen) == _MOSTLY_ENOUGH_BYTES:
            seen = _peek(conn.sock, _MAX_SEEN_BYTES)
    except BlockingIOError:
        seen = b""
    else:
        if not seen or (waited and len(seen) == before):  # the end of what the client sends is readable too
            return _Missing.FOR_EVER if waited else _Missing.NOTHING
    begun = (conn.parser.unreader.buf.getvalue() if conn.parser else b"") + seen  # of what came with the last request
    if len(seen) >= _MAX_SEEN_BYTES:
        return _Missing.FOR_EVER
    if is_whole(begun):
        if waited:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        return _Missing.NOTHING
    if _EXPECT.search(begun) and b"\r\n\r\n" in begun and not getattr(conn, "continued", False):
        conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.continued = True
    conn.seen = len(seen)
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(seen) + 1)
    return _Missing.SOMETHING


def _peek(sock: socket.socket, size: int) -> bytes:
    return sock.recv(size, _LOOK)


def is_whole(seen: bytes) -> bool:
    """Whether ``seen`` begins with all of a request, or with one that will be refused as soon as it is read."""
    head, end, body = seen.partition(b"\r\n\r\n")
    if not end:
        return False
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
    return broken or decoded > MAX_BODY_BYTES
