"""Which places a request needs before a service works on it: ordinary requests and slow ones have lanes of their own.

A service works on half as many ordinary requests as the process has threads. A view marked `@slow` (a batch, an import,
an export, a report) goes into the slow lane of the process instead, so that such requests of whatever tenant leave the
ordinary places alone. Siblings have their own bound (`kit.client`), and probes have none.
"""

import re
import time
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

from kit.config import WEB_THREADS
from kit.errors import Problem, TooManyRequests, Unavailable
from kit.fairness import ASKING_S, Gate, Room, Turn, Who, network
from kit.waiting import Suspend

QUEUE_S = 2.0
SLOW_QUEUE_S = 5.0  # who asks for something slow can wait, and holds no thread
REFUSAL = "alicerce.refusal"  # in an environ: the problem that the app answers instead of the view
IS_WHOLE = "alicerce.is_whole"  # likewise: whether the answer is complete before any of it is sent
HELD = "X-Internal-Held-Ms"  # of an answer: the time for which the request held its place
UNBOUNDED = ("/internal/",)

View = TypeVar("View")


class TooManyAtOnce(TooManyRequests):
    """Your organisation has as many requests under way here as it may. Let some end, then send fewer at once."""


class ServiceBusy(Unavailable):
    """This service has more to do than it can. Try again shortly."""


class Process:
    """The rooms that all services of a process share."""

    def __init__(self) -> None:
        threads = WEB_THREADS()
        self.gate = Gate(paces=True)
        self.all = Room(max(1, threads - 2))  # two threads are left for siblings and probes
        self.slow = Room(max(2, threads // 4))


@cache
def process() -> Process:
    """Return the rooms of this process."""
    return Process()


def slow(view: View) -> View:
    """Mark a view whose requests take long by their nature."""
    view.is_slow = True  # type: ignore[attr-defined]
    return view


class Lanes:
    """The lanes of one service. `operations` are method, rule and view of each of its routes.

    `is_public`: clients reach it directly, so that headers say nothing of who asks before they are checked.
    """

    def __init__(self, operations: Iterable[tuple[str, str, Any]], bare: Iterable[str], is_public: bool) -> None:
        shared = process()
        self.gate = shared.gate
        self.ordinary = (Room(max(1, WEB_THREADS() // 2)), shared.all)
        self.slow = (shared.slow, shared.all)
        self._bare, self._is_public = frozenset(bare), is_public
        rules = [f"{method} {_pattern(rule)}" for method, rule, view in operations if hasattr(view, "is_slow")]
        self._is_slow = re.compile(f"(?:{'|'.join(rules)})/?" if rules else r"(?!)").fullmatch

    def ask(self, environ: dict[str, Any]) -> Turn | None:
        """Ask for a request's place. None when it needs none."""
        path = environ["PATH_INFO"]
        if path in self._bare or path.startswith(UNBOUNDED):
            return None
        is_slow = self._is_slow(f"{environ['REQUEST_METHOD']} {path}")
        who = Who(environ.get("REMOTE_ADDR", "")) if self._is_public else owner_of(environ)
        return self.gate.ask(who, self.slow if is_slow else self.ordinary)

    def queue_s(self, turn: Turn) -> float:
        """Return the seconds for which a turn is waited for."""
        return SLOW_QUEUE_S if turn.rooms is self.slow else QUEUE_S


def _pattern(rule: str) -> str:
    return "[^/]+".join(re.escape(part) for part in re.split(r"<[^>]+>", rule))


def owner_of(environ: dict[str, Any]) -> Who:
    """Return whose request it is, as its headers say: the gateway sets them, and the identity is compared with them."""
    person = environ.get("HTTP_X_USER_ID")
    tenant = environ.get("HTTP_X_TENANT_ID") or person
    address = environ.get("HTTP_X_FORWARDED_FOR") or environ.get("REMOTE_ADDR", "")
    return Who(tenant, person) if tenant else Who(network(address))


def queue(turn: Turn, suspend: Suspend, most_s: float) -> Iterator[bytes]:
    """Yield an empty piece for each wait, until the turn has come or has been waited for long enough."""
    ends = time.monotonic() + most_s
    while not (turn.is_refused or turn.look()) and (now := time.monotonic()) < ends:
        suspend(turn.fileno(), min(ends, now + ASKING_S))
        yield b""


def refusal(turn: Turn) -> Problem:
    """Return the answer to a request whose turn did not come."""
    return TooManyAtOnce(retry_after_s=1) if turn.is_at_its_share else ServiceBusy(retry_after_s=1)
