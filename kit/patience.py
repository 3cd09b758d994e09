"""Clients' sockets: how long a client is waited for, and how many threads of ours wait for one address."""

import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from kit.config import WEB_THREADS, setting
from kit.waiting import yielding

SLOW_CLIENT_SECONDS = setting("SLOW_CLIENT_SECONDS", 20.0, "How long a client may take to send one request.")
LEAST_BYTES_PER_S = 16 * 1024  # that a reader takes in the end, so that no answer lasts for ever
PAUSE_S = 1.0  # that any reader may make in an answer
LINGER_S = 1.0
CHUNK = 64 * 1024


class ClientGone(ConnectionResetError):
    """The client has gone, or is given up: nobody is there to be told of anything."""


class NothingCame(Exception):
    """A request was expected, and not a byte of it is there."""


class Shares:
    """How much of something each address holds. Nobody may have more than half of it."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, address: str, whole: int, amount: int = 1) -> bool:
        """Take some more; False when that would be more than half of the whole, or more than is left of it."""
        with self._lock:
            is_too_much = self._held[address] + amount > max(1, whole // 2)
            if is_too_much or self._held.total() + amount > whole:
                self._forget(address)
                return False
            self._held[address] += amount
            return True

    def give(self, address: str, amount: int = 1) -> None:
        """Give some back."""
        with self._lock:
            self._held[address] -= amount
            self._forget(address)

    def _forget(self, address: str) -> None:
        if not self._held[address]:
            del self._held[address]


class PatientSocket:
    """A client's socket that waits for a whole request no longer than it may, however the bytes drip in.

    The socket below never blocks, so that what is there already costs one system call. One address may have at most
    half of the threads waiting for it, be it for its bytes or until it reads.
    """

    _waiting: ClassVar[Shares] = Shares()

    def __init__(self, inner: socket.socket, address: str) -> None:
        inner.setblocking(False)
        self.inner, self.address, self.patience_s = inner, address, SLOW_CLIENT_SECONDS()
        self.deadline = 0.0
        self.refused, self._has_begun = False, True
        self._taken, self._waited_s = 0, 0.0

    def fileno(self) -> int:
        return self.inner.fileno()

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to read, not even an end."""
        try:
            self.inner.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def begin(self, has_begun: bool) -> None:
        """A new request arrives, of which a part may have been read before."""
        self.deadline = time.monotonic() + self.patience_s
        self._has_begun = has_begun
        self._taken, self._waited_s = 0, 0.0

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
        self.deadline, self._has_begun = 0.0, True
        self.inner.shutdown(how)

    def close(self) -> None:
        self.inner.close()

    def recv(self, size: int, *flags: int) -> bytes:
        """The next bytes, as soon as there are any. Raises NothingCame where a request did not begin, ClientGone."""
        while (received := self.recv_now(size, *flags)) is None:
            self._wait_for_bytes()
        return received

    def recv_now(self, size: int, *flags: int) -> bytes | None:
        """Return the bytes that are there, or None. Raises NothingCame where a request did not begin, ClientGone."""
        try:
            received = self.inner.recv(size, *flags)
        except BlockingIOError:
            if not self._has_begun:
                raise NothingCame from None
            return None
        except OSError as error:
            raise ClientGone from error
        self._has_begun = True
        return received

    def send(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """All of it. Raises ClientGone, also where the client reads too slowly."""
        sent = self._send(data)
        if sent < len(data):
            yielding()
            rest = memoryview(data)[sent:]
            while rest:
                self._wait_for_reader()
                rest = rest[self._send(rest) :]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            sent = self.inner.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ClientGone from error
        self._taken += sent
        return sent

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
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise ClientGone("it sends too slowly")
        with self._share():
            yielding()
            if not self._ready(select.POLLIN, left_s):
                raise ClientGone("it sends too slowly")

    def _wait_for_reader(self) -> None:
        """Wait as long as one wait may take, and all waits of an answer together for what was taken of it."""
        earned_s = self.patience_s + self._taken / LEAST_BYTES_PER_S - self._waited_s
        began = time.monotonic()
        left_s = min(self.patience_s, earned_s)
        try:
            if self._waited_s < PAUSE_S and self._ready(select.POLLOUT, min(PAUSE_S, left_s)):
                return
            with self._share():
                if not self._ready(select.POLLOUT, began + left_s - time.monotonic()):
                    raise ClientGone("it reads too slowly")
        finally:
            self._waited_s += time.monotonic() - began

    @contextmanager
    def _share(self) -> Iterator[None]:
        if not self._waiting.take(self.address, WEB_THREADS()):
            raise ClientGone("its address is waited for too often")
        try:
            yield
        finally:
            self._waiting.give(self.address)


def is_unread(parser: Any) -> bool:
    """Whether a body was refused before its end, so that the client may still be sending it."""
    body = getattr(getattr(parser, "mesg", None), "body", None)
    reader = getattr(body, "reader", None)
    return bool(getattr(body, "failed", False) or getattr(reader, "length", 0) or getattr(reader, "parser", None))
