"""Clients' sockets: how long a client is waited for, and how many threads of ours wait for one address."""

import errno
import select
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any, ClassVar

from kit.config import WEB_THREADS, setting
from kit.waiting import yielding

SLOW_CLIENT_SECONDS = setting("SLOW_CLIENT_SECONDS", 20.0, "How long a client may take to send one request.")
LINGER_S = 1.0
CHUNK = 64 * 1024


class Shares:
    """How much of something each address holds. Nobody may have more than half of it."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, address: str, whole: int) -> bool:
        """Take one more; False when that would be more than half of the whole."""
        with self._lock:
            if self._held[address] >= max(1, whole // 2):
                return False
            self._held[address] += 1
            return True

    def give(self, address: str) -> None:
        """Give one back."""
        with self._lock:
            self._held[address] -= 1
            if not self._held[address]:
                del self._held[address]


class PatientSocket:
    """A client's socket that waits for a whole request no longer than it may, however the bytes drip in.

    The socket below never blocks, so that what is there already costs one system call. One address may have at most
    half of the threads waiting for its bytes. Giving up looks like a reset to gunicorn, which then closes the
    connection without a log line.
    """

    _waiting: ClassVar[Shares] = Shares()

    def __init__(self, inner: socket.socket, address: str) -> None:
        inner.setblocking(False)
        self.inner, self.address, self.patience_s = inner, address, SLOW_CLIENT_SECONDS()
        self.deadline = 0.0
        self.refused = False

    def fileno(self) -> int:
        return self.inner.fileno()

    def begin(self) -> None:
        """A new request begins to arrive."""
        self.deadline = time.monotonic() + self.patience_s

    def gettimeout(self) -> None:
        """The deadline is ours; there is no other to come back to."""

    def settimeout(self, seconds: float | None) -> None:
        """Wait no longer than this, and never longer than the deadline."""
        if seconds is not None:
            self.deadline = min(self.deadline, time.monotonic() + seconds)

    def setblocking(self, flag: bool) -> None:
        """Nothing: a wait always has an end."""

    def shutdown(self, how: int) -> None:
        """Nothing is waited for after this: gunicorn does it to close a connection."""
        self.deadline = 0.0
        self.inner.shutdown(how)

    def close(self) -> None:
        self.inner.close()

    def recv(self, size: int, *flags: int) -> bytes:
        """The next bytes, as soon as there are any."""
        while True:
            try:
                return self.inner.recv(size, *flags)
            except BlockingIOError:
                self._wait_for_bytes()

    def send(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """All of it. A client that does not read is given up after its whole patience, counted anew for each piece."""
        sent = self._send(data)
        if sent < len(data):
            yielding()
            rest, given_up = memoryview(data)[sent:], time.monotonic() + self.patience_s
            while rest:
                if not self._ready(select.POLLOUT, given_up - time.monotonic()):
                    raise ConnectionResetError(errno.ECONNRESET, "the client does not read")
                rest = rest[self._send(rest) :]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self.inner.send(data)
        except BlockingIOError:
            return 0

    def linger(self) -> None:
        """Read what a refused client still sends, for a moment: closing upon it would take the refusal away again."""
        self.deadline = min(self.deadline, time.monotonic() + LINGER_S)
        with suppress(OSError):
            while self.recv(CHUNK):
                pass

    def _ready(self, event: int, seconds: float) -> bool:
        poll = select.poll()  # select.select cannot watch a descriptor above 1023
        poll.register(self.inner, event)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    def _wait_for_bytes(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0 or not self._waiting.take(self.address, WEB_THREADS()):
            raise ConnectionResetError(errno.ECONNRESET, "the client is too slow")
        yielding()
        try:
            if not self._ready(select.POLLIN, left):
                raise ConnectionResetError(errno.ECONNRESET, "the client is too slow")
        finally:
            self._waiting.give(self.address)


def is_unread(parser: Any) -> bool:
    """Whether a body was refused before its end, so that the client may still be sending it."""
    body = getattr(getattr(parser, "mesg", None), "body", None)
    reader = getattr(body, "reader", None)
    return bool(getattr(body, "failed", False) or getattr(reader, "length", 0) or getattr(reader, "parser", None))
