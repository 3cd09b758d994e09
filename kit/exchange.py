"""A client's connection to the worker, and one request over it with its answer."""

import socket
import time
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Protocol

from gunicorn.http.errors import NoMoreData

from kit.arrival import Arrival
from kit.patience import ClientGone, NothingCame, PatientSocket, is_unread
from kit.waiting import SUSPEND, yielding
from kit.wsgi import PlainParser, Response, connection_environ, environ

DRAIN_S = 5.0


class Connection:
    """One client's connection. It belongs to the poller, or to the one thread that took it out of `Worker.idle`."""

    __slots__ = ("client", "environ", "expires", "parser", "sock")

    def __init__(self, cfg: Any, inner: socket.socket, client: Any, server: Any) -> None:
        self.client = client
        self.sock = PatientSocket(inner, client[0] if client else "")
        self.parser = PlainParser(cfg, self.sock, client)
        self.environ = connection_environ(cfg, client, server)
        self.expires = 0.0

    @property
    def has_more(self) -> bool:
        """Return whether a part of the next request has been read already."""
        return bool(self.parser.unreader.buf.getbuffer().nbytes)


class After(Enum):
    """The state that an exchange leaves its connection in."""

    KEPT = auto()
    CLOSED = auto()
    SUSPENDED = auto()
    UNTOUCHED = auto()


class Server(Protocol):
    """The worker, as an exchange needs it."""

    plain: Any
    log: Any
    wsgi: Any

    def count(self, response: Response) -> None:
        """Count one more request."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Log an error and answer it."""


class Exchange:
    """A request and its answer, until the answer is over."""

    __slots__ = ("arrival", "awaited", "body", "connection", "pieces", "request", "response", "server")

    def __init__(self, server: Server, connection: Connection) -> None:
        self.server, self.connection = server, connection
        self.arrival: Arrival | None = None
        self.request: Any = None
        self.response: Any = None
        self.body: Any = None
        self.pieces: Any = None
        self.awaited: tuple[int, float] | None = None

    def run(self) -> After:
        """Go on with it. An exchange that is suspended waits for what is `awaited`."""
        connection = self.connection
        try:
            if self.body is None:
                if not self._arrive():
                    self.awaited = (connection.sock.fileno(), connection.sock.deadline)
                    return After.SUSPENDED
                self._begin()
            if not self._write():
                return After.SUSPENDED
            ends = self.response.should_close() or self.response.is_short
            if not ends and connection.parser.finish_body(time.monotonic() + DRAIN_S):
                return After.KEPT
        except NothingCame:
            return After.UNTOUCHED
        except (NoMoreData, StopIteration, ClientGone):
            pass
        except Exception as error:
            if self.response is not None and self.response.headers_sent:  # a second answer would corrupt the first
                self.server.log.exception("An answer broke off.")
            else:
                self.server.handle_error(self.request, connection.sock, connection.client, error)
        self._arrived()
        if connection.sock.refused or is_unread(connection.parser):
            with suppress(OSError):
                connection.sock.inner.shutdown(socket.SHUT_WR)
                connection.sock.linger()
        return After.CLOSED

    def _arrive(self) -> bool:
        """Gather the request; False while its rest has to be waited for."""
        connection = self.connection
        if self.arrival is None:
            connection.sock.begin(connection.has_more)
            self.arrival = Arrival(connection.sock, connection.parser.unreader)
        if self.request is None:
            if not self.arrival.has_head():
                return False
            self.request = next(connection.parser)
            self.response = Response(self.request, connection.sock, self.server.plain)
            if self.request._expected_100_continue and not self.request.is_too_large:
                connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.arrival.has_body(self.request)

    def _arrived(self) -> None:
        if self.arrival is not None:
            self.arrival.end()

    def _begin(self) -> None:
        """Ask the application."""
        self._arrived()
        server = self.server
        server.count(self.response)
        request_environ = environ(self.connection.environ, self.request)
        if getattr(server.wsgi, "says_when_it_waits", False):
            request_environ[SUSPEND] = self._suspend
        else:
            yielding()
        self.body = server.wsgi(request_environ, self.response.start_response)
        self.pieces = iter(self.body)

    def _suspend(self, number: int, moment: float) -> None:
        self.awaited = (number, moment)

    @property
    def is_waiting(self) -> bool:
        """Return whether the application asked to be suspended."""
        return self.awaited is not None

    def _write(self) -> bool:
        """Write the answer; False when it has to wait first.

        The application is told of the end before the client is: who has an answer finds it counted and logged.
        """
        self.awaited = None
        try:
            for piece in self.pieces:
                if self.is_waiting:
                    return False
                if self.response.is_whole(piece):
                    self.close()
                    self.response.write(piece)
                    break
                self.response.write(piece)
        except BaseException:
            self.close()
            raise
        self.close()
        self.response.close()
        return True

    def close(self) -> None:
        """Tell the application of the end."""
        self._arrived()
        body, self.body = self.body, ()
        close = getattr(body, "close", None)
        if close:
            close()
