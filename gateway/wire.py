"""HTTP/1.1 to a service at an address, over connections that are kept.

Nothing is followed, decoded, stored or taken from the environment. urllib3's connections are used without its pool: the
pool would rewrite the target (`%zz` into `%25zz`), and what is routed has to be what arrives.
"""

from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from queue import Empty, Full, LifoQueue
from typing import Any
from urllib.parse import urlsplit

from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.response import HTTPResponse

from gateway.upstream import (
    Answer,
    InProcess,
    Request,
    Transport,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from kit import transport
from kit.client import address
from kit.config import WEB_THREADS
from kit.timed import TimedHTTP, TimedHTTPS

CONNECT_S = 1.0
CHUNK = 64 * 1024
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})

Connection = TimedHTTP | TimedHTTPS


class Http:
    """A service at a base URL."""

    def __init__(self, service: str, url: str) -> None:
        parts = urlsplit(url)
        self.service = service
        self._kind: type[Connection] = TimedHTTPS if parts.scheme == "https" else TimedHTTP
        self._host, self._port = parts.hostname or "", parts.port
        self._idle: LifoQueue[Connection] = LifoQueue(maxsize=WEB_THREADS())

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

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose answer was read to its end."""
        try:
            if not connection.sock:
                raise Full
            self._idle.put_nowait(connection)
        except Full:
            connection.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _connection(self) -> tuple[bool, Connection]:
        with suppress(Empty):
            while True:
                connection = self._idle.get_nowait()
                if connection.is_connected:
                    return True, connection
                connection.close()
        return False, self._new()

    def _new(self) -> Connection:
        return self._kind(self._host, self._port)

    def _exchange(self, connection: Connection, request: Request) -> Answer:
        try:
            if not connection.is_connected:
                connection.timeout = min(CONNECT_S, request.left())
                connection.connect()
            connection.timeout = request.left()
            body, headers = request.body or None, dict(request.headers)
            sent: dict[str, Any] = {"body": body, "headers": headers, "preload_content": False, "decode_content": False}
            connection.request(request.method, request.target, **sent)
            connection.timeout = request.left()
            response = connection.getresponse()
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise UpstreamUnavailable(upstream=self.service, retry_after_s=1) from error
        except TimeoutError as error:
            connection.close()
            raise UpstreamTimeout(upstream=self.service) from error
        except (HTTPException, HTTPError, OSError, ValueError) as error:
            connection.close()
            raise UpstreamBroken(upstream=self.service) from error
        return Answer(response.status, list(response.headers.items()), Incoming(self, connection, response))


class Incoming:
    """A body on its way in. A connection is kept only when its body was read to the end."""

    def __init__(self, http: Http, connection: Connection, response: HTTPResponse) -> None:
        self.http, self.connection, self.response = http, connection, response
        self.is_over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.is_over:
            raise StopIteration
        try:
            piece = self.response.read1(CHUNK)
        except (ReadTimeoutError, TimeoutError) as error:
            self.close()
            raise UpstreamTimeout(upstream=self.http.service) from error
        except (HTTPException, HTTPError, OSError, ValueError) as error:
            self.close()
            raise UpstreamBroken(upstream=self.http.service) from error
        if piece:
            return piece
        self.is_over = True
        self.http.keep(self.connection)
        raise StopIteration

    def close(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.response.close()
            self.connection.close()


def transport_to(service: str) -> Transport:
    """How a service is reached: in this process when it is mounted here.

    Raises ConfigurationError when it has no address either, so that the start fails and not the first request.
    """
    return InProcess(service) if transport.mounted(service) else Http(service, address(service))
