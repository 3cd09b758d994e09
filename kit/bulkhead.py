"""A bound on how many threads wait for one other program, so that a slow one does not take all of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kit.errors import Problem
from kit.fairness import Gate, Room, Turn, Who
from kit.waiting import yielding

QUEUE_S = 1.0
LOOK_S = 0.05
SLOW_S = 0.5


class Bulkhead:
    """So many places, shared fairly. One that is taken is waited for, because calls are short and a burst is soon over;
    but not while the other program is slow, for then those who wait would only join those who are held up."""

    def __init__(self, places: int) -> None:
        self._gate, self.room = Gate(), Room(places)
        self._since: dict[Turn, float] = {}
        self._was_slow = False

    @contextmanager
    def place(self, who: Who, busy: Problem, most_s: float = QUEUE_S) -> Iterator[None]:
        """Hold a place for as long as the block takes. Raises `busy` when there is none."""
        turn = self._gate.ask(who, (self.room,))
        try:
            if not turn.is_granted and not self._wait(turn, most_s):
                raise busy
            self._since[turn] = entered = time.monotonic()
            yield
        finally:
            if self._since.pop(turn, None) is not None:
                self._was_slow = time.monotonic() - entered > SLOW_S
            turn.leave()

    def _wait(self, turn: Turn, most_s: float) -> bool:
        yielding()
        given_up = time.monotonic() + most_s
        while not turn.wait(0 if self._was_slow else LOOK_S):
            if self._was_slow or self._is_stuck() or time.monotonic() > given_up:
                return False
        return True

    def _is_stuck(self) -> bool:
        since = list(self._since.values())
        return bool(since) and time.monotonic() - max(since) > SLOW_S
