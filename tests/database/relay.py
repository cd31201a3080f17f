"""A TCP relay in front of a server, which a test can cut, stall and mend."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable


def server_of(connection_string: str) -> str:
    """Return the server that an ODBC connection string names."""
    return str(re.findall("(?:^|;)server=([^;]*)", connection_string, re.IGNORECASE)[0])


def begin(action: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=action, args=arguments, daemon=True).start()


class Relay:
    """Passes TCP connections on from a free port of loopback.

    Args:
        server: the target, as SQL Server's names are written.
        delay: seconds that each packet takes each way.
    """

    def __init__(self, server: str, delay: float = 0) -> None:
        self.delay = delay
        host, _, port = server.removeprefix("tcp:").partition(",")
        self.target = (host, int(port or 1433))
        self.flowing = threading.Event()
        self.flowing.set()
        # What clients have sent, one piece for each time that they waited for an answer.
        self.sent: list[bytes] = []
        self._sockets: set[socket.socket] = set()
        self.port = 0
        self._listen()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_error: object) -> None:
        self.cut()

    def through(self, connection_string: str) -> str:
        """Return the connection string that leads through this relay."""
        return f"Server={self.server};{connection_string}"  # the first of two equal names counts

    def cut(self) -> None:
        """Break all connections and refuse new ones, as when the server stops."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.flowing.set()
        self.break_connections()

    def break_connections(self) -> None:
        """Break all connections, as when a firewall forgets them."""
        for end in list(self._sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Pass nothing on, as when the network swallows every packet."""
        self.flowing.clear()

    def mend(self) -> None:
        """Work again, on the same port."""
        self.flowing.set()
        if self._listener.fileno() == -1:
            self._listen()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
        self.port = int(self._listener.getsockname()[1])
        self.server = f"127.0.0.1,{self.port}"
        begin(self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            self._sockets |= {client, server}
            begin(self._pump, client, server, self.sent)
            begin(self._pump, server, client, [])

    def _pump(self, source: socket.socket, sink: socket.socket, seen: list[bytes]) -> None:
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.flowing.wait()
                seen.append(data)
                if self.delay:
                    time.sleep(self.delay)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._sockets.discard(end)
