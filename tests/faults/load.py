"""Clients that work while something breaks, and remember what they were told."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import requests

from tests.topologies import eventually

ANSWER_S = 20.0  # longer than any deadline of the platform
PAUSE_S = 0.01
GIVE_UP_S = 60.0
UNDECIDED = frozenset({0, 429, 500, 502, 503, 504})  # 0: no answer at all


@dataclass(frozen=True)
class Call:
    """One request to make. With a key it is repeated until somebody says how it ended; so is a GET."""

    kind: str
    method: str
    path: str
    token: str
    body: Any = None
    key: str = ""


@dataclass(frozen=True)
class Attempt:
    """How one try ended: moments of `time.monotonic()`, and the status; 0 when no answer came."""

    kind: str
    began: float
    ended: float
    status: int
    problem: Any = None
    retry_after: str | None = None

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass
class Outcome:
    """A call and the answer that decided it; None while nobody knows."""

    call: Call
    answer: Any = None
    status: int = 0


Job = Callable[[], Call]


@dataclass
class Load:
    """A few clients, each with one of the jobs, who do it again and again until the block ends."""

    url: str
    jobs: Sequence[Job]
    clients: int = 4
    pause_s: float = PAUSE_S
    attempts: list[Attempt] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        jobs = [self.jobs[client % len(self.jobs)] for client in range(self.clients)]
        self._threads = [threading.Thread(target=self._work, args=(job,), daemon=True) for job in jobs]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(GIVE_UP_S + ANSWER_S)
            assert not thread.is_alive()

    def _work(self, job: Job) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self._over.wait(self.pause_s):
                self._settle(session, job())

    def _settle(self, session: requests.Session, call: Call) -> None:
        """Ask until the outcome is known: the same key, so that the effect happens once."""
        outcome = Outcome(call)
        self.outcomes.append(outcome)
        deadline = time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline:
            status, answer = self._try(session, call)
            busy = isinstance(answer, dict) and answer.get("code") == "idempotency_key_busy"
            if status not in UNDECIDED and not busy:
                outcome.status, outcome.answer = status, answer
                return
            if not call.key and call.method != "GET":
                return
            self._over.wait(0.05)
            time.sleep(0.01)

    def _try(self, session: requests.Session, call: Call) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {call.token}"} | ({"Idempotency-Key": call.key} if call.key else {})
        began = time.monotonic()
        try:
            response = session.request(
                call.method, self.url + call.path, json=call.body, headers=headers, timeout=ANSWER_S
            )
            status, answer = response.status_code, response.json()
            retry_after = response.headers.get("Retry-After")
        except (requests.RequestException, ValueError) as error:
            status, answer, retry_after = 0, repr(error), None
        problem = answer if status >= 400 or not status else None
        self.attempts.append(Attempt(call.kind, began, time.monotonic(), status, problem, retry_after))
        return status, answer

    def good(self, kind: str = "", *, since: float = 0.0) -> list[Attempt]:
        """The tries that were answered 2xx, and begun since a moment; of one kind, or of all."""
        return [a for a in list(self.attempts) if 200 <= a.status < 300 and a.began >= since and kind in ("", a.kind)]

    def failed(self, kind: str = "", *, since: float = 0.0) -> list[Attempt]:
        """The tries that were not."""
        others = (a for a in list(self.attempts) if not 200 <= a.status < 300)
        return [a for a in others if a.began >= since and kind in ("", a.kind)]

    def go_on(self, count: int, kind: str = "") -> None:
        """Wait for so many good answers from now on."""
        now = time.monotonic()
        eventually(lambda: len(self.good(kind, since=now)) >= count, f"{count} more good answers: {self.said()}")

    def recovered(self, since: float, kind: str = "") -> float:
        """Seconds from the end of a fault to the end of the first good request that was begun after it."""
        eventually(lambda: self.good(kind, since=since), f"a good answer after the fault: {self.said()}")
        return min(a.ended for a in self.good(kind, since=since)) - since

    def slowed(self, since: float) -> None:
        """Wait until a try that began after this moment took a second."""
        eventually(lambda: any(a.began > since and a.seconds > 1 for a in list(self.attempts)), "a slow answer")

    def p99(self, since: float, until: float) -> float:
        """The 99th percentile of the seconds that good requests took which began between two moments."""
        times = sorted(a.seconds for a in self.good(since=since) if a.began < until)
        return times[int(len(times) * 0.99)]

    def said(self) -> str:
        """How many tries ended how."""
        return ", ".join(f"{status}: {n}" for status, n in sorted(Counter(a.status for a in self.attempts).items()))
