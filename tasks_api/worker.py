"""gunicorn's threaded worker, for clients that are slow or pretend to be."""

import io
import re
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from .web import MAX_BODY_BYTES

ARRIVAL_SECONDS = 10  # how long a request may take to arrive
SEND_SECONDS = 5  # how long a client that does not read may hold a thread; gunicorn tries three times
DRAIN_SECONDS = 0.1  # how long a thread waits for the rest of a body that was too large
LINGER_SECONDS = 2  # how long a client may go on sending after its last answer
# Where patience ends: chunks of one byte each take six, and a head is much smaller. Only the main thread looks.
_SEEN = memoryview(bytearray(8 * MAX_BODY_BYTES))
_LOOK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_SEND_LIMIT = struct.pack("ll", SEND_SECONDS, 0)
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

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections, or no more of them.

        At the end those that the kernel has accepted are taken first: to close the listener would reset them.
        """
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                for _ in range(self.cfg.backlog):
                    self.accept(listener)
                listener.close()

    def enqueue_req(self, conn: Any) -> None:
        """Submit the connection's request to a thread, or wait for the rest of it."""
        try:
            arrived = conn.cfg.is_ssl or _has_arrived(conn)
        except Exception as error:  # of one connection, and no reason to lose the worker
            self.log.debug("Closing connection. %s", error)
            self._close(conn)
            return
        if not arrived:
            self._wait(conn, conn.deadline, self.on_pending_socket_readable)
            return
        conn.deadline, conn.seen, conn.continued = None, 0, False
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_LIMIT)
        super().enqueue_req(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep the connection, or close it when its client has had time to read the answer.

        gunicorn waits for that in the thread that serves all connections.
        """
        if conn.cfg.is_ssl or fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            self._wait(conn, time.monotonic() + LINGER_SECONDS, self._linger)
        except OSError:
            self._close(conn)

    def _linger(self, conn: Any, sock: socket.socket) -> None:
        # What is not read when a socket closes resets it, and the client may lose its answer.
        self.poller.unregister(sock)
        self.pending_conns.remove(conn)
        try:
            more = sock.recv_into(_SEEN)
        except OSError:
            more = 0
        if more:
            self._wait(conn, conn.timeout, self._linger)
        else:
            self._close(conn)

    def _wait(self, conn: Any, deadline: float, then: Callable[[Any, socket.socket], None]) -> None:
        conn.timeout = deadline
        conn.sock.setblocking(False)
        # In the order of their deadlines, which gunicorn counts on when it closes those whose time has come.
        self.pending_conns.append(conn)
        if len(self.pending_conns) > 1 and self.pending_conns[-2].timeout > deadline:
            self.pending_conns = deque(sorted(self.pending_conns, key=lambda pending: pending.timeout))
        self.poller.register(conn.sock, EVENT_READ, partial(then, conn))

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        # All of the request is here, unless it was too large. gunicorn gives the rest five seconds of the thread.
        return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + DRAIN_SECONDS))


def _has_arrived(conn: Any) -> bool:
    """Whether all of the request is there. If not, the socket becomes readable when there is more of it.

    Raises:
        OSError: it is too long, or the rest will not come.
    """
    deadline = getattr(conn, "deadline", None)
    try:
        size = conn.sock.recv_into(_SEEN, 0, _LOOK)
    except BlockingIOError:
        size = 0
    else:
        if not size:  # the end of what the client sends is readable too
            if deadline:
                raise ConnectionError("the client sends no more")
            return True
        if deadline and size == conn.seen:  # readable without more: the kernel has no room for it, or it is the end
            conn.init()
            conn.parser.unreader.buf.seek(0, io.SEEK_END)
            conn.parser.unreader.buf.write(conn.sock.recv(size))
            size = 0
    # Some of it may have come with the last request.
    begun = (conn.parser.unreader.buf.getvalue() if conn.parser else b"") + bytes(_SEEN[:size])
    if len(begun) >= len(_SEEN):
        raise ConnectionError("the request does not end")
    if is_whole(begun):
        if deadline:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        return True
    now = time.monotonic()
    conn.deadline = deadline or now + ARRIVAL_SECONDS
    if now >= conn.deadline:
        raise TimeoutError("the request takes too long")
    if _EXPECT.search(begun) and b"\r\n\r\n" in begun and not getattr(conn, "continued", False):
        conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.continued = True
    conn.seen = size
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size + 1)
    return False


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
