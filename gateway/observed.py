"""What went through this gateway process lately: rates, the slowest routes, the last errors. Bounded, in memory."""

import statistics
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from gateway.exchange import Exchange
from kit import metrics

MINUTES = 30
KEPT_ERRORS = 50
KEPT_TIMES = 500  # of each route
SLOWEST = 15


@dataclass(slots=True)
class Tally:
    """How many requests came to what."""

    requests: int = 0
    refused: int = 0
    failed: int = 0

    def add(self, status: int) -> None:
        """Count an answer."""
        self.requests += 1
        self.refused += 400 <= status < 500
        self.failed += status >= 500


@dataclass(slots=True)
class Minute:
    """The requests of one minute: all of them, and by the service that they were for."""

    number: int
    all: Tally = field(default_factory=Tally)
    services: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))


@dataclass(slots=True)
class Timings:
    """The last answers of one operation: milliseconds, and how many there were at all."""

    count: int = 0
    last: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_TIMES))


class Observed:
    """Takes in each exchange when it is over. Operations are few, so nothing here grows with what clients send."""

    def __init__(self) -> None:
        self.since = time.time()
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self._routes: dict[tuple[str, str], Timings] = defaultdict(Timings)
        self._errors: deque[dict[str, Any]] = deque(maxlen=KEPT_ERRORS)

    def record(self, exchange: Exchange) -> None:
        """Remember an exchange; two threads may lose a count to each other here, and never in the metrics."""
        seconds = time.perf_counter() - exchange.started
        operation, route = exchange.operation, exchange.route
        metrics.observe("gateway", exchange.method if operation else "", route, exchange.status, seconds)
        minute = self._minute()
        minute.all.add(exchange.status)
        if operation:
            minute.services[operation.service].add(exchange.status)
            timings = self._routes[operation.method, route]
            timings.count += 1
            timings.last.append(seconds * 1000)
        if exchange.status >= 500:
            self._errors.appendleft(_error(exchange, seconds))

    def _minute(self) -> Minute:
        number = int(time.time() // 60)
        if not self._minutes or self._minutes[-1].number != number:
            self._minutes.append(Minute(number))
        return self._minutes[-1]

    def minutes(self) -> list[Minute]:
        """The last half hour, minute by minute, quiet ones included."""
        known = {minute.number: minute for minute in list(self._minutes)}
        last = int(time.time() // 60)
        return [known.get(number, Minute(number)) for number in range(last - MINUTES + 1, last + 1)]

    def slowest(self) -> list[dict[str, Any]]:
        """The operations with the longest 95th percentile of their last answers, in milliseconds."""
        rows = [_timed(method, route, timings) for (method, route), timings in list(self._routes.items())]
        return sorted(rows, key=lambda row: -row["p95"])[:SLOWEST]

    def errors(self) -> list[dict[str, Any]]:
        """The last answers of 500 and above, the newest first."""
        return list(self._errors)


def _timed(method: str, route: str, timings: Timings) -> dict[str, Any]:
    times = sorted(timings.last)
    p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
    return {
        "method": method,
        "route": route,
        "count": timings.count,
        "p50": statistics.median(times),
        "p95": p95,
        "max": times[-1],
    }


def _error(exchange: Exchange, seconds: float) -> dict[str, Any]:
    return {
        "at": time.strftime("%H:%M:%S", time.gmtime()),
        "request_id": exchange.request_id,
        "method": exchange.method,
        "path": exchange.path[:200],
        "status": exchange.status,
        "code": exchange.extra.get("code", ""),
        "service": exchange.service,
        "ms": seconds * 1000,
    }


observed = Observed()  # of this process
