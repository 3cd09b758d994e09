"""The gateway's way to a service: over HTTP, or to an app in this process, behind a bulkhead.

Waiting is bounded: a service may have at most half of this process's threads waiting for it, so that one slow service
leaves the others their threads.
"""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from gateway.headers import Headers
from kit import transport
from kit.bulkhead import Bulkhead
from kit.config import WEB_THREADS
from kit.errors import BadGateway, DeadlineExceeded, Unavailable
from kit.waiting import Suspend, yielding

QUEUE_S = 0.5


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
        """Raises UpstreamUnavailable, UpstreamTimeout, UpstreamBroken."""


class Pending(Protocol):
    """A request that was sent to a service."""

    def fileno(self) -> int:
        """Where its answer arrives."""

    def arrived(self) -> Answer | None:
        """The answer, once its head is there. Raises UpstreamTimeout, UpstreamBroken, UpstreamUnavailable."""

    def close(self) -> None:
        """Nobody wants the answer any more."""


class Suspending(Protocol):
    """A transport whose answers are announced by a descriptor."""

    def begin(self, request: Request) -> Pending:
        """Send it. Raises UpstreamUnavailable, UpstreamTimeout, UpstreamBroken."""


class InProcess:
    """A service that runs in this process. Its own deadlines, which travel in the headers, bound it."""

    def __init__(self, service: str) -> None:
        self.service = service

    def send(self, request: Request) -> Answer:
        app = transport.mounted(self.service)
        if app is None:
            raise UpstreamUnavailable(upstream=self.service, retry_after_s=1)
        yielding()
        env = transport.environ(request.method, request.target, request.headers, request.body)
        return Answer(*transport.begin(app, env))


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
    """One service, however it is reached, behind its bulkhead."""

    def __init__(self, service: str, transport: Transport) -> None:
        self.service, self.transport = service, transport
        self.bulkhead = Bulkhead(max(1, WEB_THREADS() // 2))
        # Who is suspended holds no thread of ours, but one of the service's, and it has as many as we have.
        self.suspended = Bulkhead(WEB_THREADS())

    def get(self, target: str, seconds: float) -> Answer:
        """Ask it something of the gateway's own. Raises what `send` raises."""
        host = ("Host", self.service)  # without one it is no HTTP/1.1 (RFC 9112, 3.2)
        return self.send(Request("GET", target, [host], b"", time.monotonic() + seconds))

    def send(self, request: Request) -> Answer:
        """Forward a request. Raises UpstreamBusy, and what its transport raises."""
        leave = self._enter(self.bulkhead, request)
        try:
            answer = self.transport.send(request)
        except BaseException:
            leave()
            raise
        return Answer(answer.status, answer.headers, Held(answer.body, leave), answer.is_checked)

    @property
    def can_suspend(self) -> bool:
        """Whether its answers can be waited for without a thread."""
        return hasattr(self.transport, "begin")

    def ask(self, request: Request, suspend: Suspend) -> Generator[bytes, None, Answer]:
        """Forward a request without holding a thread: an empty piece for each wait. Raises what `send` raises."""
        transport = cast(Suspending, self.transport)
        leave, pending = self._enter(self.suspended, request), None
        try:
            pending, answer = transport.begin(request), None
            while answer is None:  # nobody answers so fast that asking before the first wait would pay
                suspend(pending.fileno(), request.deadline)
                yield b""
                answer = pending.arrived()
        except BaseException:
            if pending:
                pending.close()
            leave()
            raise
        return Answer(answer.status, answer.headers, Held(answer.body, leave), answer.is_checked)

    def _enter(self, bulkhead: Bulkhead, request: Request) -> Callable[[], None]:
        leave = bulkhead.enter(min(QUEUE_S, request.left()))
        if leave is None:
            raise UpstreamBusy(upstream=self.service, retry_after_s=1)
        return leave
