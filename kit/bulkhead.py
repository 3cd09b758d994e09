"""A bound on how many threads wait for one other program, so that a slow one does not take all of them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kit.errors import Problem

QUEUE_S = 0.1
STUCK_S = 0.5


class Bulkhead:
    """So many places. One that is taken is waited for, because calls are short; but not once everybody who has one has
    waited long, for then the others would only join them."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._free = threading.BoundedSemaphore(places)
        self._since: dict[object, float] = {}

    @contextmanager
    def place(self, busy: Problem) -> Iterator[None]:
        """Hold a place for as long as the block takes. Raises `busy` when there is none."""
        if not self._free.acquire(timeout=0 if self._is_stuck() else QUEUE_S):
            raise busy
        holder = object()
        self._since[holder] = time.monotonic()
        try:
            yield
        finally:
            del self._since[holder]
            self._free.release()

    def _is_stuck(self) -> bool:
        since = list(self._since.values())
        return len(since) == self.places and time.monotonic() - max(since) > STUCK_S
