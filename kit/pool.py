"""Connections to databases: one budget for all pools of this process.

A pool keeps what it opened until it was idle for a minute. When the budget is used up, a pool takes the place of the
connection that has been idle longest in another pool.

To open a connection takes Postgres and us some milliseconds. So a request of a pool that has its usual number waits a
moment for one of these first: while requests are short, that is sooner, and hardly any is fresh.

In solo a request may hold the connection of its own service while it asks a sibling in the same thread. A fifth of the
budget is kept for such second connections. Their holders ask nobody else, so they end, and no circle of requests waits
for itself.
"""

import threading
import time
from collections import deque
from threading import get_ident
from typing import Any
from weakref import WeakSet

from sqlalchemy import Pool as SQLAlchemyPool
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kit import metrics
from kit.config import WEB_THREADS

MOMENT_S = 0.02
IDLE_S = 60.0
TIMEOUT_S = 5.0
SPARE = 2  # of a service, beside its threads: the thread of its queues, and what looks for due rows
RESERVE = 5  # one in so many connections is kept for siblings that are asked in the same process


def most_of(connections: int, services: int, threads: int) -> int:
    """Return how many connections a process opens at most: no thread holds two of one service."""
    return min(connections, services * (threads + SPARE))


class Budget:
    """The connections that one process may hold open, and the pools that share them."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        # Reentrant: the garbage collector returns a forgotten connection in whichever thread it runs.
        self.lock = threading.RLock()
        self.most, self.reserved, self.idle_s = 0, 0, idle_s
        self.pools: WeakSet[Pool] = WeakSet()
        self.waiting = 0
        self._held: dict[int, int] = {}  # by each thread
        self._first = 0  # connections in use that were their thread's first
        self._closer: threading.Thread | None = None

    def join(self, pool: "Pool") -> None:
        """Let a pool share the budget."""
        with self.lock:
            self.pools.add(pool)
            services = len({each.logging_name for each in self.pools})
            largest = max(each.connections for each in self.pools)
            self.most = most_of(largest, services, WEB_THREADS())
            self.reserved = max(1, self.most // RESERVE) if services > 1 else 0

    @property
    def open(self) -> int:
        """Return the number of connections that are open or about to be."""
        with self.lock:
            return sum(pool.open for pool in self.pools)

    def take(self, pool: "Pool") -> Any:
        """Return a connection's record. Raises PoolTimeout when none comes within the pool's time."""
        me = get_ident()
        with self.lock:
            is_first = me not in self._held
            record = pool.idle.pop() if pool.idle and self._admits(is_first) else self._wait(pool, is_first)
            self._held[me] = self._held.get(me, 0) + 1
            self._first += is_first
            pool.holders[record] = me, is_first
        if type(record) is not Place:
            return record
        try:
            record.clear()
            fresh = pool._create_connection()
        except BaseException:
            self.give_back(pool, record)
            raise
        with self.lock:
            pool.holders[fresh] = pool.holders.pop(record)
            self._see_to_closing()
        return fresh

    def give_back(self, pool: "Pool", record: Any) -> None:
        """Keep a connection that is no longer used, or forget it when it is closed."""
        with self.lock:
            thread, was_first = pool.holders.pop(record)
            self._first -= was_first
            self._held[thread] -= 1
            if not self._held[thread]:
                del self._held[thread]
            if pool.is_disposed or record.dbapi_connection is None:
                pool.open -= 1
            else:
                record.idle_since = time.monotonic()
                pool.idle.append(record)
            if self.waiting:
                self._wake(pool)
        if pool.is_disposed:
            record.close()

    def close_idle(self, since: float) -> None:
        """Close what has been idle since then (`time.monotonic`) or longer."""
        records = []
        with self.lock:
            for pool in list(self.pools):
                while pool.idle and pool.idle[0].idle_since <= since:
                    records.append(pool.idle.popleft())
                    pool.open -= 1
        for record in records:
            record.close()

    def _admits(self, is_first: bool) -> bool:
        return not is_first or self._first < self.most - self.reserved

    def _wait(self, pool: "Pool", is_first: bool) -> Any:
        now = time.monotonic()
        deadline = now + pool.timeout
        patient_until = now + MOMENT_S if pool.open >= pool.usual_size else now
        while True:
            if self._admits(is_first) and (record := self._find(pool, now < patient_until)) is not None:
                return record
            if now >= deadline:
                message = f"No connection of {pool.logging_name} within {pool.timeout} s: all {self.most} are in use."
                raise PoolTimeout(message)
            pool.waiting += 1
            self.waiting += 1
            # A moment at a time: a thread that is woken in vain need not wake another.
            pool.returned.wait(min(deadline - now, MOMENT_S))
            pool.waiting -= 1
            self.waiting -= 1
            now = time.monotonic()

    def _find(self, pool: "Pool", is_patient: bool) -> Any:
        if pool.idle:
            return pool.idle.pop()
        if is_patient:
            return None
        predecessor = None
        if self.open >= self.most:
            others = [each for each in self.pools if each.idle]
            if not others:
                return None
            longest = min(others, key=lambda each: each.idle[0].idle_since)
            predecessor = longest.idle.popleft()
            longest.open -= 1
        pool.open += 1
        return Place(predecessor)

    def _wake(self, pool: "Pool") -> None:
        if pool.waiting:
            pool.returned.notify()
        else:
            next(each for each in self.pools if each.waiting).returned.notify()

    def _see_to_closing(self) -> None:
        if self._closer is None:
            self._closer = threading.Thread(target=self._close, name="idle connections", daemon=True)
            self._closer.start()

    def _close(self) -> None:
        while True:
            time.sleep(self.idle_s / 4)
            self.close_idle(time.monotonic() - self.idle_s)
            with self.lock:
                if not self.open:
                    self._closer = None
                    return


class Place:
    """Room in the budget for a connection that is still to be fresh."""

    dbapi_connection = None

    def __init__(self, predecessor: Any) -> None:
        self._predecessor = predecessor

    def clear(self) -> None:
        """Close the connection whose place this was."""
        if self._predecessor is not None:
            self._predecessor.close()

    def close(self) -> None:
        """Nothing is open."""


BUDGET = Budget()


class Pool(SQLAlchemyPool):
    """The connections of one role to one database; `logging_name` is the service. Each wait for one is counted."""

    def __init__(
        self,
        creator: Any,
        usual_size: int = 5,
        connections: int = 60,
        timeout: float = TIMEOUT_S,
        budget: Budget | None = None,
        timed: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(creator, **options)
        self.usual_size, self.connections, self.timeout, self.timed = usual_size, connections, timeout, timed
        self.budget = BUDGET if budget is None else budget
        self.idle: deque[Any] = deque()  # the longest idle first
        self.holders: dict[Any, tuple[int, bool]] = {}  # by which thread, and whether as its first
        self.open = self.waiting = 0
        self.is_disposed = False
        self.returned = threading.Condition(self.budget.lock)
        self.budget.join(self)

    def _do_get(self) -> Any:
        began = time.perf_counter()
        try:
            return self.budget.take(self)
        finally:
            if self.timed:
                metrics.waited(self.logging_name or "", time.perf_counter() - began)

    def _do_return_conn(self, record: Any) -> None:
        self.budget.give_back(self, record)

    def dispose(self) -> None:
        """Close what is idle now, and the others when they come back."""
        with self.budget.lock:
            self.is_disposed = True
            records, self.open = list(self.idle), self.open - len(self.idle)
            self.idle.clear()
        for record in records:
            record.close()

    def recreate(self) -> "Pool":
        """Return an empty pool of the same kind."""
        return Pool(
            self._creator,
            usual_size=self.usual_size,
            connections=self.connections,
            timeout=self.timeout,
            budget=self.budget,
            timed=self.timed,
            recycle=self._recycle,
            echo=self.echo,
            logging_name=self._orig_logging_name,
            reset_on_return=self._reset_on_return,
            pre_ping=self._pre_ping,
            _dispatch=self.dispatch,
            dialect=self._dialect,
        )

    def status(self) -> str:
        """Say how many connections there are, for SQLAlchemy's own log."""
        return f"open {self.open}, idle {len(self.idle)}"
