"""A steady load on a platform, and what failed of it."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import requests

from tests.api import Person

CLIENTS, PACE_S, TIMEOUT_S = 4, 0.02, 15.0


@dataclass
class Client:
    """One caller on a kept connection: how many requests it sent, what failed, and for how long nothing went."""

    url: str
    token: str
    verify: str | bool = True
    sent: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    failing_s: float = 0.0
    slowest_s: float = 0.0
    _since: float | None = None

    def run(self, ending: threading.Event) -> None:
        """Read and write in turn, at an even pace, until the end."""
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {self.token}"
            session.verify = self.verify
            while not ending.wait(PACE_S):
                self._ask(session)
            self._end_gap(time.monotonic())

    def _ask(self, session: requests.Session) -> None:
        begun = time.monotonic()
        reason = self._send(session)
        self.sent += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        if reason:
            self.failures[reason] += 1
            self._since = self._since or begun
        else:
            self._end_gap(begun)

    def _end_gap(self, moment: float) -> None:
        """Nothing that was begun between a failure's beginning and this moment was answered."""
        if self._since:
            self.failing_s += moment - self._since
            self._since = None

    def _send(self, session: requests.Session) -> str:
        """Why a request failed; empty when it did not."""
        try:
            if self.sent % 5:
                answer = session.get(f"{self.url}/api/customers", timeout=TIMEOUT_S)
            else:
                answer = session.post(f"{self.url}/api/customers", json={"name": "Padaria"}, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            return type(error).__name__
        return "" if answer.status_code in (200, 201) else str(answer.status_code)


class Load:
    """Several clients at once, from entering to leaving."""

    def __init__(self, url: str, person: Person, verify: str | bool = True) -> None:
        self.clients = [Client(url, str(person.token), verify) for _ in range(CLIENTS)]
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=one.run, args=(self._ending,)) for one in self.clients]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    @property
    def sent(self) -> int:
        """The requests so far."""
        return sum(client.sent for client in self.clients)

    @property
    def failures(self) -> Counter[str]:
        """Failed requests, by status or by the name of the error."""
        return sum((client.failures for client in self.clients), Counter())

    @property
    def failing_s(self) -> float:
        """The longest that one client had to do without, in seconds, all its gaps together."""
        return max(client.failing_s for client in self.clients)

    def __str__(self) -> str:
        slowest = max(client.slowest_s for client in self.clients)
        failed = dict(self.failures) or "none"
        return f"{self.sent} requests, failed {failed}, {self.failing_s:.2f} s without, slowest {slowest:.2f} s"
