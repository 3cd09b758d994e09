"""HTTP connections whose waits end together: for the gateway's way to a service, and for a service's to a sibling.

A socket's own timeout begins anew with every byte, so that whoever drips an answer could hold a thread for ever.
"""

import io
import socket
import time
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from kit import reach

CHUNK = 64 * 1024


class Timed:
    """A socket to which a timeout means: all that is sent and received from now on is over within it."""

    def __init__(self, inner: socket.socket) -> None:
        self.inner = inner
        self.settimeout(inner.gettimeout())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def settimeout(self, seconds: float | None) -> None:
        """urllib3 says it twice for each request: before it is sent, and before its answer is awaited."""
        self.deadline = time.monotonic() + (seconds or 0.0)

    def sendall(self, data: Any) -> None:
        self.arm()
        self.inner.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(Reader(self), CHUNK)

    def arm(self) -> None:
        """Let the next wait end at the deadline. Raises TimeoutError when that has passed."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.inner.settimeout(left)


class Reader(io.RawIOBase):
    """What arrives at a timed socket. The file below keeps the socket open for as long as it is read (HTTP/1.0)."""

    def __init__(self, timed: Timed) -> None:
        self.timed, self.below = timed, timed.inner.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self.timed.arm()
        return self.below.readinto(buffer)

    def close(self) -> None:
        self.below.close()
        super().close()


class TimedHTTP(HTTPConnection):
    """A connection that is opened by `kit.reach`, and not used again once it has aged."""

    expires = 0.0

    def connect(self) -> None:
        super().connect()
        self.sock: Any = Timed(self.sock)
        self.sock.settimeout(self.timeout)  # connecting has used up a part of it, and sending has one of its own

    @property
    def is_connected(self) -> bool:
        """Asked by urllib3 before a kept connection is used: where this is false, it opens another one."""
        return time.monotonic() < self.expires and super().is_connected

    def _new_conn(self) -> socket.socket:
        try:
            opened = reach.connect(reach.addresses(self.host, self.port), self.timeout or 0.0)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} did not answer in time.") from error
        except OSError as error:
            raise NewConnectionError(self, f"{self.host} cannot be reached: {error}") from error
        self.expires = reach.expiry()
        return opened


class TimedHTTPS(TimedHTTP, HTTPSConnection):
    """The same with TLS."""


class Pool(HTTPConnectionPool):
    ConnectionCls = TimedHTTP


class SecurePool(HTTPSConnectionPool):
    ConnectionCls = TimedHTTPS


POOLS = {"http": Pool, "https": SecurePool}
