"""HTTP/1.1 to a service at an address, over connections that are kept.

Nothing is followed, decoded, stored or taken from the environment, and what is routed is what arrives, byte for byte.
All waits for one answer end together, at the deadline of its request, however its bytes drip in.
"""

import re
import select
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Full, LifoQueue
from urllib.parse import urlsplit

from gateway.framing import Head, Malformed, Reader
from gateway.upstream import (
    Answer,
    InProcess,
    Request,
    Transport,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from kit import reach, transport
from kit.client import address
from kit.config import WEB_THREADS
from kit.waiting import yielding

CONNECT_S = 1.0
CHUNK = 64 * 1024
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
BODILESS = frozenset({"GET", "HEAD", "DELETE"})
PRINTABLE = re.compile(r"[\t\r\n\x20-\x7e\x80-\xff]*\Z")
BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection:
    """A connection to a service. Its socket never blocks, so that what is there already costs one system call."""

    def __init__(self, sock: socket.socket, has_others: bool = False) -> None:
        sock.setblocking(False)
        self.sock, self.has_others = sock, has_others
        self.address = sock.getpeername()
        self.deadline, self.expires = 0.0, reach.expiry()

    @property
    def has_aged(self) -> bool:
        """Return whether to close it rather than use it again, so that newer replicas get their share."""
        return time.monotonic() > self.expires

    @property
    def is_usable(self) -> bool:
        """Whether it is idle as it should be: with nothing to read, neither an end nor an answer nobody asked for."""
        if self.has_aged:
            return False
        try:
            self.sock.recv(1)
        except BLOCKED:
            return True
        except OSError:
            pass
        return False

    def send(self, data: bytes) -> None:
        """All of it. Raises TimeoutError, OSError."""
        sent = 0
        while sent < len(data):
            try:
                sent += self.sock.send(data[sent:] if sent else data)
            except BLOCKED as blocked:
                self.wait(select.POLLIN if isinstance(blocked, ssl.SSLWantReadError) else select.POLLOUT)

    def receive(self) -> bytes:
        """The next bytes, empty at the end. Raises TimeoutError, OSError."""
        while True:
            try:
                return self.sock.recv(CHUNK)
            except BLOCKED as blocked:
                self.wait(select.POLLOUT if isinstance(blocked, ssl.SSLWantWriteError) else select.POLLIN)

    def receive_now(self) -> bytes:
        """The next bytes. Raises one of BLOCKED when there are none yet, TimeoutError when it is too late for them."""
        if time.monotonic() > self.deadline:
            raise TimeoutError
        return self.sock.recv(CHUNK)

    def wait(self, event: int) -> None:
        """Until the socket is ready. Raises TimeoutError at the deadline."""
        yielding()
        poll = select.poll()
        poll.register(self.sock, event)
        if not poll.poll(max(0.0, self.deadline - time.monotonic()) * 1000):
            raise TimeoutError

    def close(self) -> None:
        self.sock.close()


class Http:
    """A service at a base URL."""

    def __init__(self, service: str, url: str) -> None:
        parts = urlsplit(url)
        self.service = service
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._tls else 80)
        self._idle: LifoQueue[Connection] = LifoQueue(maxsize=WEB_THREADS())

    def send(self, request: Request) -> Answer:
        """Forward a request and wait for its answer's head."""
        return Sent(self, request).wait()

    def begin(self, request: Request) -> "Sent":
        """Forward a request. Raises UpstreamUnavailable, UpstreamTimeout, UpstreamBroken."""
        return Sent(self, request)

    def take(self) -> Connection | None:
        """A connection that was kept, and that the other side has not closed."""
        with suppress(Empty):
            while True:
                connection = self._idle.get_nowait()
                if connection.is_usable:
                    return connection
                connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose answer was read to its end."""
        if connection.has_aged:
            connection.close()
            return
        try:
            self._idle.put_nowait(connection)
        except Full:
            connection.close()

    def connect(self, request: Request, failed: object = None) -> Connection:
        """A new connection, rather not to the address that `failed`. Raises UpstreamUnavailable."""
        yielding()
        try:
            addresses = reach.addresses(self._host, self._port)
            sock = reach.connect(addresses, min(CONNECT_S, request.left()), failed)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_hostname=self._host)
            return Connection(sock, len(addresses) > 1)
        except OSError as error:
            raise UpstreamUnavailable(upstream=self.service, retry_after_s=1) from error

    def close(self) -> None:
        """Close the connections that are kept."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()


class Sent:
    """A request that was sent, until the head of its answer is there.

    A connection may end before any of its answer came: it was closed while it was idle, or its replica died. Only what
    is safe to repeat is sent again, only once, and then over a new connection; where there is no other replica, only
    after a kept one.
    """

    def __init__(self, http: Http, request: Request) -> None:
        self.http, self.request = http, request
        kept = http.take()
        connection = kept or http.connect(request)
        self._may_repeat = request.method in REPEATABLE and (kept is not None or connection.has_others)
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        self.connection = connection
        connection.deadline = self.request.deadline
        self.reader = Reader(self.request.method, connection.receive)
        try:
            connection.send(_bytes(self.request))
        except (OSError, ValueError) as error:
            self._fail(error)

    @property
    def awaited(self) -> tuple[int, float]:
        """Return its socket, always: no service answers so fast that asking before the first wait would pay."""
        return self.connection.sock.fileno(), self.request.deadline

    def wait(self) -> Answer:
        """Wait for the answer. Raises UpstreamTimeout, UpstreamBroken."""
        while True:
            try:
                return self._answer()
            except (Malformed, OSError) as error:
                self._fail(error)

    def arrived(self) -> Answer | None:
        """The answer, if its head is there. Raises UpstreamTimeout, UpstreamBroken."""
        self.reader.more = self.connection.receive_now
        try:
            return self._answer()
        except BLOCKED:
            return None
        except (Malformed, OSError) as error:
            self._fail(error)
            return None

    def _answer(self) -> Answer:
        head = self.reader.head()
        self.reader.more = self.connection.receive
        return Answer(head.status, head.headers, Incoming(self, head), is_checked=True)

    def _fail(self, error: Exception) -> None:
        """Send it again if that may help. Raises UpstreamTimeout, UpstreamBroken."""
        self.close()
        if isinstance(error, TimeoutError):
            raise UpstreamTimeout(upstream=self.http.service) from error
        if not self._may_repeat or self.reader.has_begun:
            raise UpstreamBroken(upstream=self.http.service) from error
        self._may_repeat = False
        self._send(self.http.connect(self.request, self.connection.address))

    def close(self) -> None:
        """Nobody wants the answer any more."""
        self.connection.close()


def _bytes(request: Request) -> bytes:
    """A request on the wire. Raises ValueError for what could be read as more than one."""
    lines = [f"{request.method} {request.target} HTTP/1.1", *[f"{name}: {value}" for name, value in request.headers]]
    if request.body or request.method not in BODILESS:
        lines.append(f"Content-Length: {len(request.body)}")
    text = "\r\n".join(lines)
    if not PRINTABLE.match(text) or text.count("\r\n") != len(lines) - 1:
        raise ValueError("a request that would be read as something else")
    return text.encode("latin-1") + b"\r\n\r\n" + request.body


class Incoming:
    """A body on its way in. A connection is kept only when its body was read to the end, and nothing came after it."""

    def __init__(self, sent: Sent, head: Head) -> None:
        self.sent, self.is_kept = sent, head.is_kept
        self.pieces = sent.reader.body(head)
        self.is_over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self.pieces)
        except StopIteration:
            self._end()
            raise
        except TimeoutError as error:
            self.close()
            raise UpstreamTimeout(upstream=self.sent.http.service) from error
        except (Malformed, OSError) as error:
            self.close()
            raise UpstreamBroken(upstream=self.sent.http.service) from error

    def _end(self) -> None:
        if not self.is_over:
            self.is_over = True
            if self.is_kept and self.sent.reader.is_empty:
                self.sent.http.keep(self.sent.connection)
            else:
                self.sent.close()

    def close(self) -> None:
        """Let go of the service, whatever it still says."""
        if not self.is_over:
            self.is_over = True
            self.sent.close()


def transport_to(service: str) -> Transport:
    """How a service is reached: in this process when it is mounted here.

    Raises ConfigurationError when it has no address either, so that the start fails and not the first request.
    """
    return InProcess(service) if transport.mounted(service) else Http(service, address(service))
