"""The one place where the gateway speaks to services: over HTTP, or to an app in this process.

Nothing is followed, decoded, stored or taken from the environment. Waiting is bounded: a service may have at most half
of this process's threads waiting for it, so that one slow service leaves the others their threads.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from queue import Empty, Full, LifoQueue
from typing import Any, Protocol
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.response import HTTPResponse

from kit import transport
from kit.client import address
from kit.config import WEB_THREADS
from kit.errors import BadGateway, DeadlineExceeded, Unavailable

CONNECT_S = 1.0
QUEUE_S = 0.1
CHUNK = 64 * 1024
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})

Headers = list[tuple[str, str]]


class UpstreamUnavailable(Unavailable):
    """The service behind this address cannot be reached. Try again shortly."""


class UpstreamBusy(Unavailable):
    """The service behind this address is busy. Try again shortly."""


class UpstreamTimeout(DeadlineExceeded):
    """The service behind this address did not answer in time."""


class UpstreamBroken(BadGateway):
    """The service behind this address gave an answer that cannot be used."""


@dataclass(slots=True)
class Request:
    """What is forwarded. `target` is the raw target, byte for byte."""

    method: str
    target: str
    headers: Headers
    body: bytes
    deadline: float

    def left(self) -> float:
        """Seconds left, at least a moment."""
        return max(0.001, self.deadline - time.monotonic())


@dataclass(slots=True)
class Answer:
    """What came back; its body arrives in pieces. Exhaust or close it, or its connection is lost."""

    status: int
    headers: Headers
    body: Iterator[bytes]


class Transport(Protocol):
    def send(self, request: Request) -> Answer:
        """Raises UpstreamUnavailable, UpstreamTimeout, UpstreamBroken."""


class InProcess:
    """A service that runs in this process."""

    def __init__(self, app: transport.WsgiApp) -> None:
        self.app = app

    def send(self, request: Request) -> Answer:
        env = transport.environ(request.method, request.target, request.headers, request.body)
        answer = transport.call(self.app, env)
        return Answer(answer.status, answer.headers, iter((answer.body,)))


class Http:
    """A service at an address, over connections that are kept.

    urllib3's connections are used without its pool: the pool would rewrite the target (`%zz` into `%25zz`), and what
    is routed has to be what arrives.
    """

    def __init__(self, service: str, url: str) -> None:
        parts = urlsplit(url)
        self.service = service
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname or "", parts.port
        self._idle: LifoQueue[HTTPConnection] = LifoQueue(maxsize=WEB_THREADS())

    def send(self, request: Request) -> Answer:
        # A kept connection may have been closed by the other side while it was idle. Only what is safe to repeat
        # is sent again, only once, and then over a new connection.
        is_kept, connection = self._connection()
        try:
            return self._exchange(connection, request)
        except UpstreamBroken:
            if not is_kept or request.method not in REPEATABLE:
                raise
            return self._exchange(self._new(), request)

    def close(self) -> None:
        """Close the connections that are kept."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _connection(self) -> tuple[bool, HTTPConnection]:
        with suppress(Empty):
            while True:
                connection = self._idle.get_nowait()
                if connection.is_connected:
                    return True, connection
                connection.close()
        return False, self._new()

    def _new(self) -> HTTPConnection:
        return self._kind(self._host, self._port)

    def _exchange(self, connection: HTTPConnection, request: Request) -> Answer:
        try:
            if not connection.is_connected:
                connection.timeout = min(CONNECT_S, request.left())
                connection.connect()
            connection.sock.settimeout(request.left())
            body, headers = request.body or None, dict(request.headers)
            sent: dict[str, Any] = {"body": body, "headers": headers, "preload_content": False, "decode_content": False}
            connection.request(request.method, request.target, **sent)
            response = connection.getresponse()
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise UpstreamUnavailable(upstream=self.service, retry_after_s=1) from error
        except TimeoutError as error:
            connection.close()
            raise UpstreamTimeout(upstream=self.service) from error
        except (HTTPException, HTTPError, OSError, ValueError) as error:
            connection.close()
            raise UpstreamBroken(upstream=self.service) from error
        return Answer(response.status, list(response.headers.items()), self._body(connection, response, request))

    def _body(self, connection: HTTPConnection, response: HTTPResponse, request: Request) -> Iterator[bytes]:
        is_whole = False
        try:
            while chunk := response.read1(CHUNK):
                yield chunk
                if time.monotonic() > request.deadline:
                    raise UpstreamTimeout(upstream=self.service)
                if connection.sock:  # a read's timeout would begin anew with every byte
                    connection.sock.settimeout(request.left())
            is_whole = True
        except ReadTimeoutError as error:
            raise UpstreamTimeout(upstream=self.service) from error
        except (HTTPError, OSError) as error:
            raise UpstreamBroken(upstream=self.service) from error
        finally:
            self._keep(connection, is_whole)

    def _keep(self, connection: HTTPConnection, is_whole: bool) -> None:
        try:
            if not is_whole or not connection.sock:
                raise Full
            self._idle.put_nowait(connection)
        except Full:
            connection.close()


class Upstream:
    """One service, however it is reached, behind its bulkhead."""

    def __init__(self, service: str) -> None:
        self.service = service
        self._places = threading.BoundedSemaphore(max(1, WEB_THREADS() // 2))
        self._transport: Transport | None = None

    def send(self, request: Request) -> Answer:
        """Forward a request. Raises UpstreamBusy, and what its transport raises."""
        if not self._places.acquire(timeout=QUEUE_S):
            raise UpstreamBusy(upstream=self.service, retry_after_s=1)
        try:
            answer = self._reached().send(request)
        except BaseException:
            self._places.release()
            raise
        return Answer(answer.status, answer.headers, self._released_after(answer.body))

    def _reached(self) -> Transport:
        if self._transport is None:
            app = transport.mounted(self.service)
            self._transport = InProcess(app) if app else Http(self.service, address(self.service))
        return self._transport

    def _released_after(self, body: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from body
        finally:
            self._places.release()
