"""gunicorn's threaded worker, for clients that are slow or pretend to be."""

import io
import re
import socket
import time
from bisect import insort
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from operator import attrgetter
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.errors import NoMoreData
from gunicorn.http.unreader import Unreader
from gunicorn.workers.gthread import ThreadWorker

from .web import MAX_BODY_BYTES

ARRIVAL_SECONDS = 10  # how long a request may take to arrive
SEND_SECONDS = 5  # how long a client may take for a piece of its answer
LINGER_SECONDS = 2  # how long a client may go on sending after its last answer
MAX_BYTES = 2 * MAX_BODY_BYTES  # of a request on the line, with its head and what chunks cost
CHUNK_LINE = 8190  # gunicorn's own limit
# What a body may have before the service refuses it; gunicorn reads chunked ones 1,024 bytes ahead.
_MOST, _MOST_CHUNKED = MAX_BODY_BYTES + 1, MAX_BODY_BYTES + 1 + 1024

# Possessive, or what matches nothing would be tried in as many ways as it has characters.
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*+0*+(\d{1,18}+)[ \t]*+\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*+100-continue[ \t]*+\r\n", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16}+)[^\r\n]{0,%d}+\r\n" % CHUNK_LINE)
_DEADLINE = attrgetter("timeout")


class Arrival:
    """What has come of a request, and whether it is all. Every byte is looked at once.

    It need not be right about requests that are none: whatever a thread gets, it never waits for more.
    """

    def __init__(self, begun: bytes) -> None:
        self.data = bytearray(begun)
        self.is_cut = False  # it goes on, and what goes on is not wanted
        self.deadline = time.monotonic() + ARRIVAL_SECONDS
        self._at = 0  # up to here it is known
        self._end = 0  # where the request ends; 0: its head does not yet
        self._chunked = False
        self._decoded = 0  # bytes in the chunks up to there
        self._trailers = 0  # up to here they do not end
        self._expects = False

    def take(self, client: socket.socket) -> bool:
        """Read what has come; whether that is all of the request, or enough to refuse it.

        Args:
            client: a socket that does not block.

        Raises:
            OSError: it is too long, or the rest will not come.
        """
        while not self.is_whole():
            try:
                more = client.recv(MAX_BODY_BYTES)
            except BlockingIOError:
                if self._expects:  # to be told that we want its body
                    self._expects = False
                    client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                return False
            if not more:
                raise ConnectionError("the client sends no more")
            if len(self.data) > MAX_BYTES:
                raise ConnectionError("the request does not end")
            self.data += more
        return True

    def is_whole(self) -> bool:
        """Whether all is there, or what comes will be refused whatever it is."""
        if not (self._end or self._head_ends()):
            return False
        return self._chunks_end() if self._chunked else len(self.data) >= self._end

    def _head_ends(self) -> bool:
        end = self.data.find(b"\r\n\r\n", max(0, self._at - 3))
        if end < 0:
            self._at = len(self.data)
            return False
        head = bytes(self.data[: end + 2])
        self._at = self._end = end + 4
        self._chunked = _CHUNKED.search(head) is not None
        self._expects = _EXPECT.search(head) is not None and head.partition(b"\r\n")[0].endswith(b" HTTP/1.1")
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        self.is_cut = size > _MOST
        self._end += 0 if self.is_cut else size
        return True

    def _chunks_end(self) -> bool:
        while chunk := _CHUNK.match(self.data, self._at):
            size = int(chunk[1], 16)
            come = len(self.data) - chunk.end()
            if not size:  # with trailers, or without
                known, self._trailers = max(chunk.end(), self._trailers - 3), len(self.data)
                return self.data.startswith(b"\r\n", chunk.end()) or self.data.find(b"\r\n\r\n", known) >= 0
            if self._decoded + min(size, come) > _MOST_CHUNKED:
                self.is_cut = True
                return True
            if come < size + 2:
                return False
            self._decoded += size
            self._at = chunk.end() + size + 2
        line = self.data[self._at : self._at + CHUNK_LINE]  # that begins no chunk
        return len(line) == CHUNK_LINE or b"\r\n" in line


class ArrivalUnreader(Unreader):  # type: ignore[misc]
    """Gives gunicorn's parser what has arrived, and no more: a thread never waits for a client."""

    def __init__(self, data: bytes | bytearray) -> None:
        super().__init__()
        self._rest = io.BytesIO(data)

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next piece. Small ones: the parser copies the rest of a piece with each chunk in it.

        Raises:
            NoMoreData: there is none, and the request is not what it says.
        """
        if piece := self._rest.read(max(size_hint or 0, 8192)):
            return piece
        raise NoMoreData

    def take_buffered(self) -> bytes:
        """All that no request has taken."""
        return bytes(super().take_buffered() + self._rest.read())


class Worker(ThreadWorker):  # type: ignore[misc]
    """Gives a thread to a request only when all of it has arrived.

    gunicorn's own worker reads in the thread, so that as many slow clients as there are threads starve everybody
    else. Over TLS nothing can be seen before it is decrypted: there a proxy in front has to do it.
    """

    pending_conns: deque[Any]
    sockets: list[Any]

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections, or no more of them.

        At the end those that the kernel has accepted are taken first: to close the listener would reset them.
        """
        super().set_accept_enabled(enabled)
        if not (enabled or self.alive):
            for listener in self.sockets:
                for _ in range(self.worker_connections - self.nr_conns):
                    self.accept(listener)
                listener.close()
            self.sockets = []

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:  # on which no request has begun
            if not (conn.cfg.is_ssl or conn.arrival.data):
                conn.timeout = min(conn.timeout, deadline)
        self.pending_conns = deque(sorted(self.pending_conns, key=_DEADLINE))

    def enqueue_req(self, conn: Any) -> None:
        """Submit the connection's request to a thread, or wait for the rest of it."""
        if conn.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        conn.arrival = Arrival(conn.parser.unreader.take_buffered() if conn.parser else b"")
        try:
            conn.sock.setblocking(False)
            if conn.arrival.take(conn.sock):
                self._submit(conn)
            else:
                self._wait(conn, conn.arrival.deadline, self._more)
        except OSError:
            self._close(conn)

    def _more(self, conn: Any, client: socket.socket) -> None:
        try:
            if not conn.arrival.take(client):
                return
        except OSError:
            self._wait_no_more(conn)
            self._close(conn)
            return
        self._wait_no_more(conn)
        self._submit(conn)

    def _submit(self, conn: Any) -> None:
        conn.init()
        conn.parser.unreader = ArrivalUnreader(conn.arrival.data)
        super().enqueue_req(conn)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer, and hang up on a client that does not read."""
        conn.sock.settimeout(SEND_SECONDS)
        if not conn.cfg.is_ssl:
            req._expected_100_continue = False  # it was told already, or its body is not wanted
            if conn.arrival.is_cut:
                req.force_close()
        try:
            return bool(super().handle_request(req, conn))
        except TimeoutError:
            return False

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        if conn.cfg.is_ssl:
            return bool(super()._keepalive_after(conn, keepalive))
        # A body that did not come with its request, or is none, ends the connection.
        with suppress(Exception):
            if keepalive and conn.parser.finish_body():
                conn.parser.unreader.unread(conn.parser.unreader.take_buffered())  # to where gunicorn looks for it
                return True
        return False

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep the connection, or close it when its client has had time to read the answer.

        gunicorn waits for that in the thread that serves all connections.
        """
        if conn.cfg.is_ssl or fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self._wait(conn, time.monotonic() + LINGER_SECONDS, self._linger)
        except OSError:
            self._close(conn)

    def _linger(self, conn: Any, client: socket.socket) -> None:
        # What is not read when a socket closes resets it, and the client may lose its answer.
        with suppress(OSError):
            if client.recv(MAX_BODY_BYTES):
                return
        self._wait_no_more(conn)
        self._close(conn)

    def _wait(self, conn: Any, deadline: float, then: Callable[[Any, socket.socket], None]) -> None:
        conn.timeout = deadline
        self.poller.register(conn.sock, EVENT_READ, partial(then, conn))
        # In the order of their deadlines, which gunicorn counts on when it closes those whose time has come.
        insort(self.pending_conns, conn, key=_DEADLINE)

    def _wait_no_more(self, conn: Any) -> None:
        self.pending_conns.remove(conn)
        self.poller.unregister(conn.sock)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()
