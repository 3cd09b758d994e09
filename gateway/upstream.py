"""The one place where the gateway speaks to services: over HTTP, or to an app in this process.

Nothing is followed, decoded, stored or taken from the environment. Waiting is bounded: a service may have at most half
of this process's threads waiting for it, so that one slow service leaves the others their threads.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

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
    """A service at an address, over connections that are kept."""

    def __init__(self, service: str, url: str) -> None:
        parts = urlsplit(url)
        self.service = service
        kind = urllib3.HTTPSConnectionPool if parts.scheme == "https" else urllib3.HTTPConnectionPool
        self._pool = kind(parts.hostname or "", parts.port, maxsize=WEB_THREADS(), block=False)

    def send(self, request: Request) -> Answer:
        # A kept connection may have been closed by the other side while it was idle. Only what is safe to repeat
        # is sent again, and only once.
        for is_last in (request.method not in REPEATABLE, True):
            try:
                return self._send(request)
            except (NewConnectionError, ConnectTimeoutError) as error:
                raise UpstreamUnavailable(upstream=self.service, retry_after_s=1) from error
            except ReadTimeoutError as error:
                raise UpstreamTimeout(upstream=self.service) from error
            except ProtocolError as error:
                if is_last:
                    raise UpstreamBroken(upstream=self.service) from error
            except HTTPError as error:
                raise UpstreamBroken(upstream=self.service) from error
        raise AssertionError("unreachable")

    def _send(self, request: Request) -> Answer:
        left = request.left()
        response = self._pool.urlopen(
            request.method,
            request.target,
            body=request.body or None,
            headers=urllib3.HTTPHeaderDict(request.headers),
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=min(CONNECT_S, left), read=left),
            preload_content=False,
            decode_content=False,
        )
        return Answer(response.status, list(response.headers.items()), self._body(response, request))

    def _body(self, response: urllib3.BaseHTTPResponse, request: Request) -> Iterator[bytes]:
        # A read timeout starts anew with every byte; the deadline does not.
        try:
            while chunk := response.read1(CHUNK):
                yield chunk
                if time.monotonic() > request.deadline:
                    raise UpstreamTimeout(upstream=self.service)
        except (HTTPError, OSError) as error:
            raise UpstreamBroken(upstream=self.service) from error
        finally:
            if response.isclosed():
                response.release_conn()
            else:
                with suppress(Exception):
                    response.close()


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
