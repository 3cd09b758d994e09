"""A TCP proxy that does to connections what networks, dying machines and lying programs do.

It stands between the gateway and a service, or between a service and Postgres. What clients send passes untouched;
what comes back goes through the fault that is set at that moment.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

PIECE_BYTES = 64 * 1024
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what is unsent is thrown away, and the other side reads ECONNRESET
GARBAGE = b"\x16\x03\x01\x00\xffE\x00\x00\x00\x7fnot what was asked for\r\n\r\n\x00"


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy: "FaultProxy", client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server

    def forward(self) -> None:
        """Pass on what the client says, until it has nothing more to say."""
        with suppress(OSError):
            while piece := self.client.recv(PIECE_BYTES):
                self.server.sendall(piece)
            self.server.shutdown(socket.SHUT_WR)

    def back(self) -> None:
        """Pass back what the server says, through the fault."""
        with suppress(OSError):
            while piece := self.server.recv(PIECE_BYTES):
                self.proxy.fault(self, piece)
        self.close()

    def close(self) -> None:
        """Close both sides, also for the thread that reads from the other one."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


Fault = Callable[[Link, bytes], None]


def nothing(link: Link, piece: bytes) -> None:
    """No fault."""
    link.client.sendall(piece)


def delay(seconds: float) -> Fault:
    """Every piece is late."""

    def late(link: Link, piece: bytes) -> None:
        link.proxy.healed(seconds)
        link.client.sendall(piece)

    return late


def stop(link: Link, piece: bytes) -> None:
    """Nothing comes any more, and nothing says so, until the fault is over: a frozen process, a hung disk."""
    link.proxy.healed(None)
    link.client.sendall(piece)


def half_close(link: Link, piece: bytes) -> None:
    """The answer ends before it began, while requests are still taken."""
    link.client.shutdown(socket.SHUT_WR)


def reset(link: Link, piece: bytes) -> None:
    """Half of the answer, and a reset."""
    link.client.sendall(piece[: len(piece) // 2])
    link.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    link.client.shutdown(socket.SHUT_RD)  # or the thread that reads from it would keep it open
    link.client.close()
    raise ConnectionResetError


def truncate(link: Link, piece: bytes) -> None:
    """All but the last bytes of the answer, and an orderly end."""
    link.client.sendall(piece[:-3])
    raise ConnectionAbortedError


def garbage(link: Link, piece: bytes) -> None:
    """Something that is no answer at all."""
    link.client.sendall(GARBAGE)
    raise ConnectionAbortedError


def drip(seconds: float) -> Fault:
    """A byte at a time, so that no single wait is ever long."""

    def slow(link: Link, piece: bytes) -> None:
        for place in range(len(piece)):
            if link.proxy.healed(seconds):
                link.client.sendall(piece[place:])
                return
            link.client.sendall(piece[place : place + 1])

    return slow


class FaultProxy:
    """Listens on loopback, and connects each client to `host:port`. `set` changes what happens from now on."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.target = (host, port)
        self.fault: Fault = nothing
        self.links: list[Link] = []
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "FaultProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.set(nothing)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self.links:
            link.close()

    def set(self, fault: Fault) -> None:
        """From now on this happens; what an earlier fault holds back goes on its way."""
        over, self._over, self.fault = self._over, threading.Event(), fault
        over.set()

    def healed(self, seconds: float | None) -> bool:
        """Wait so long, or for as long as it takes, for another fault to be set; whether one was."""
        return self._over.wait(seconds)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self.target, timeout=5)
        except OSError:
            client.close()  # a dead server behind a living proxy: the connection ends at once
            return
        server.settimeout(None)
        link = Link(self, client, server)
        self.links.append(link)
        for pump in (link.forward, link.back):
            threading.Thread(target=pump, daemon=True).start()
