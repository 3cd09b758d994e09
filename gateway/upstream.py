"""The gateway's way to a service: over HTTP, or to an app in this process, behind a bound on what is under way.

The service itself shares its places fairly among those who ask (`kit.lanes`). What waits for it here holds no thread,
and a tenant has at most its share of what may be under way to one service.
"""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from gateway.headers import Headers
from kit import transport
from kit.config import WEB_THREADS
from kit.errors import BadGateway, DeadlineExceeded, Unavailable
from kit.fairness import Gate, Room, Turn, Who
from kit.waiting import SUSPEND, Suspend, yielding

OURSELVES = Who("gateway")
QUEUE_S = 2.0
SUSPENDED = 16  # requests to one service for each thread that may wait without one: the service queues them


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
    """What is forwarded. `target` is the raw target, byte for byte; `deadline` is a moment of `time.monotonic()`."""

    method: str
    target: str
    headers: Headers
    body: bytes
    deadline: float
    who: Who = OURSELVES

    def left(self) -> float:
        """Seconds left, at least a moment."""
        return max(0.001, self.deadline - time.monotonic())


class Body(Protocol):
    """A body that arrives in pieces. Exhausting or closing it lets go of what it holds, even if nothing was read."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes:
        """Raises UpstreamTimeout, UpstreamBroken, and StopIteration at the end of a whole body only."""

    def close(self) -> None: ...


@dataclass(slots=True)
class Answer:
    """What came back. `is_checked`: its head was read from the wire by `gateway.framing`, which refuses odd ones."""

    status: int
    headers: Headers
    body: Body
    is_checked: bool = False


class Transport(Protocol):
    def send(self, request: Request) -> Answer:
        """Forward a request and wait. Raises UpstreamUnavailable, UpstreamTimeout, UpstreamBroken."""

    def begin(self, request: Request) -> "Pending":
        """Forward a request. Raises UpstreamUnavailable, UpstreamTimeout, UpstreamBroken."""


class Pending(Protocol):
    """A request that was sent to a service."""

    @property
    def awaited(self) -> tuple[int, float] | None:
        """Return the descriptor that announces the answer, and when the wait for it ends; None where there is none."""

    def arrived(self) -> Answer | None:
        """Return the answer, once its head is there. Raises UpstreamTimeout, UpstreamBroken, UpstreamUnavailable."""

    def close(self) -> None:
        """Give the answer up."""


class InProcess:
    """A service that runs in this process. Its own deadlines, which travel in the headers, bound it."""

    def __init__(self, service: str) -> None:
        self.service = service

    def send(self, request: Request) -> Answer:
        app, environ = self._prepare(request)
        yielding()
        return Answer(*transport.begin(app, environ))

    def begin(self, request: Request) -> "Inside":
        return Inside(*self._prepare(request))

    def _prepare(self, request: Request) -> tuple[transport.WsgiApp, dict[str, Any]]:
        app = transport.mounted(self.service)
        if app is None:
            raise UpstreamUnavailable(upstream=self.service, retry_after_s=1)
        return app, transport.environ(request.method, request.target, request.headers, request.body)


class Inside:
    """A request to an app in this process, which may suspend it before it answers."""

    def __init__(self, app: transport.WsgiApp, environ: dict[str, Any]) -> None:
        self._awaited: tuple[int, float] | None = None
        self._started: list[Any] = []
        environ[SUSPEND] = self._suspend
        self._parts = transport.Parts(app(environ, self._start))

    @property
    def awaited(self) -> tuple[int, float] | None:
        return self._awaited

    def arrived(self) -> Answer | None:
        yielding()
        self._awaited = None
        if not self._started:
            first = next(self._parts, b"")
            if self.awaited:
                return None
            self._parts.rest = chain([first], self._parts.rest)
        status, headers = self._started
        return Answer(status, headers, self._parts)

    def close(self) -> None:
        self._parts.close()

    def _suspend(self, number: int, moment: float) -> None:
        self._awaited = (number, moment)

    def _start(self, status: str, headers: Headers, error: Any = None) -> Any:
        self._started[:] = [int(status[:3]), list(headers)]


class Held:
    """A body that gives back its place at the bulkhead: at its end, at an error, or when nobody wants it any more."""

    def __init__(self, body: Body, leave: Callable[[], None]) -> None:
        self.body, self.leave = body, leave
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self.body)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            try:
                self.body.close()
            finally:
                self.leave()


class Upstream:
    """One service, however it is reached."""

    def __init__(self, service: str, transport: Transport) -> None:
        self.service, self.transport = service, transport
        self._gate = Gate()
        self.threads = Room(max(1, WEB_THREADS() // 2))
        self.suspended = Room(WEB_THREADS() * SUSPENDED)

    def get(self, target: str, seconds: float) -> Answer:
        """Ask it something of the gateway's own. Raises what `send` raises."""
        host = ("Host", self.service)  # without one it is no HTTP/1.1 (RFC 9112, 3.2)
        return self.send(Request("GET", target, [host], b"", time.monotonic() + seconds))

    def send(self, request: Request) -> Answer:
        """Forward a request and wait in this thread. Raises UpstreamBusy, and what its transport raises."""
        yielding()
        turn = self._gate.ask(request.who, (self.threads,))
        try:
            if not turn.wait(min(QUEUE_S, request.left())):
                raise UpstreamBusy(upstream=self.service, retry_after_s=1)
            answer = self.transport.send(request)
        except BaseException:
            turn.leave()
            raise
        return _held(answer, turn)

    def ask(self, request: Request, suspend: Suspend) -> Generator[bytes, None, Answer]:
        """Forward a request without holding a thread: an empty piece for each wait. Raises what `send` raises."""
        turn = self._gate.ask(request.who, (self.suspended,), may_wait=False)
        pending, answer = None, None
        try:
            if not turn.is_granted:  # the service has a queue already
                raise UpstreamBusy(upstream=self.service, retry_after_s=1)
            pending = self.transport.begin(request)
            while answer is None:
                if pending.awaited:
                    suspend(*pending.awaited)
                    yield b""
                answer = pending.arrived()
        except BaseException:
            if pending:
                pending.close()
            turn.leave()
            raise
        return _held(answer, turn)


def _held(answer: Answer, turn: Turn) -> Answer:
    return Answer(answer.status, answer.headers, Held(answer.body, turn.leave), answer.is_checked)
