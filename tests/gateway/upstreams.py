"""Services that behave badly, on loopback, and a proxy before them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gateway.upstream import Request
from gateway.wire import Http
from kit.fairness import Who

Conversation = Callable[[socket.socket, bytes], None]


class Server:
    """Accepts connections and lets each request be answered by a function that gets the socket and what came."""

    def __init__(self, converse: Conversation) -> None:
        self.converse = converse
        self.requests: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while received := _request(connection):
                self.requests.append(received)
                self.converse(connection, received)
        except OSError:
            return

    def close(self) -> None:
        with suppress(OSError):  # it may be closed already
            self.listener.shutdown(socket.SHUT_RDWR)  # which ends `accept`; closing alone would not
            self._accepting.join()
        self.listener.close()
        for connection in self.connections:
            connection.close()


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(x[15:]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serving(converse: Conversation) -> Iterator[tuple[Server, Http]]:
    """A server of this conversation, and the gateway's transport to it."""
    server = Server(converse)
    http = Http("echo", server.url)
    try:
        yield server, http
    finally:
        http.close()
        server.close()


def saying(answer: bytes) -> Conversation:
    """Always the same bytes."""
    return lambda connection, _: connection.sendall(answer)


def request(method: str = "GET", target: str = "/things", seconds: float = 5.0, **fields: Any) -> Request:
    """A request with a deadline, of a `tenant`."""
    who = Who(fields.get("tenant", "one"))
    ends = time.monotonic() + seconds
    return Request(method, target, fields.get("headers", []), fields.get("body", b""), ends, who)
