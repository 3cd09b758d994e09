"""One question to a process of ours, `GET /ready`, whose answer can be waited for beside other work."""

import selectors
import socket

REQUEST = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
STATUS_LINE_BYTES = 64
CONNECT_SECONDS = 1.0
REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to reach it, not where to listen


class Probe:
    """A request under way. It may be sent before the program runs: the socket listens already, and the request waits
    in its queue. Raises OSError when nobody listens."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((REACHED_AT.get(host, host), port), CONNECT_SECONDS)
        self._socket.sendall(REQUEST)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._socket.fileno()

    def answer(self) -> bool | None:
        """Whether the answer is 200; None while there is none."""
        try:
            line = self._socket.recv(STATUS_LINE_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return False
        return line.split(b" ")[1:2] == [b"200"]

    def close(self) -> None:
        """Give the connection up."""
        self._socket.close()


def ready(host: str, port: int, seconds: float) -> bool:
    """Whether `GET /ready` answers 200 within so many seconds."""
    try:
        probe = Probe(host, port)
    except OSError:
        return False
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(probe, selectors.EVENT_READ)
            return bool(selector.select(seconds)) and probe.answer() is True
    finally:
        probe.close()
