"""A way to a server that a test can cut, stall and mend."""

import contextlib
import socket
import threading
from types import TracebackType


class Relay:
    """Passes TCP connections on from a port of its own on loopback."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.flowing = threading.Event()
        self.flowing.set()
        self.sent: list[
            bytes
        ] = []  # what clients have sent, a piece for each time that they waited for an answer
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()

    def cut(self) -> None:
        """As when the server stops: connections break, new ones are refused."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.flowing.set()
        self.break_connections()

    def break_connections(self) -> None:
        """As when a firewall forgets them."""
        for end in list(self._sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """As when the network swallows every packet."""
        self.flowing.clear()

    def mend(self) -> None:
        """All is well again, on the same port."""
        self.flowing.set()
        if self._listener.fileno() == -1:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=100)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            self._sockets |= {client, server}
            threading.Thread(
                target=self._pump, args=(client, server, self.sent), daemon=True
            ).start()
            threading.Thread(target=self._pump, args=(server, client, []), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, seen: list[bytes]) -> None:
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.flowing.wait()
                seen.append(data)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._sockets.discard(end)
