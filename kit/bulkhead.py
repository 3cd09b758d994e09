"""A bound on how many threads wait for one other program, so that a slow one does not take all of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from kit.errors import Problem
from kit.waiting import yielding

QUEUE_S = 1.0
LOOK_S = 0.05
SLOW_S = 0.5


class Bulkhead:
    """So many places. One that is taken is waited for, because calls are short and a burst is soon over; but not while
    the other program is slow, for then those who wait would only join those who are held up."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._free: SimpleQueue[None] = SimpleQueue()  # a semaphore of `threading` takes ten times as long
        self._since: dict[object, float] = {}
        self._was_slow = False
        for _ in range(places):
            self._free.put(None)

    @property
    def free(self) -> int:
        """How many places nobody has."""
        return self._free.qsize()

    @contextmanager
    def place(self, busy: Problem) -> Iterator[None]:
        """Hold a place for as long as the block takes. Raises `busy` when there is none."""
        leave = self.enter()
        if leave is None:
            raise busy
        try:
            yield
        finally:
            leave()

    def enter(self, most_s: float = QUEUE_S) -> Callable[[], None] | None:
        """Take a place, waiting `most_s` at most: what gives it back, to be called once; or None."""
        if not self._is_taken(0) and not self._wait(most_s):
            return None
        holder, entered = object(), time.monotonic()
        self._since[holder] = entered

        def leave() -> None:
            del self._since[holder]
            self._was_slow = time.monotonic() - entered > SLOW_S
            self._free.put(None)

        return leave

    def _is_taken(self, seconds: float) -> bool:
        try:
            self._free.get(block=seconds > 0, timeout=seconds)
        except Empty:
            return False
        return True

    def _wait(self, most_s: float) -> bool:
        yielding()
        given_up = time.monotonic() + most_s
        while not self._is_taken(0 if self._was_slow else LOOK_S):
            if self._was_slow or self._is_stuck() or time.monotonic() > given_up:
                return False
        return True

    def _is_stuck(self) -> bool:
        since = list(self._since.values())
        return len(since) == self.places and time.monotonic() - max(since) > SLOW_S
