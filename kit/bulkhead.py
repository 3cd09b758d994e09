"""A bound on how many threads wait for one other program, so that a slow one does not take all of them."""

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from kit.errors import Problem
from kit.fairness import Gate, Room, Turn, Who
from kit.waiting import yielding

QUEUE_S = 1.0
LOOK_S = 0.05
SLOW_S = 0.5
MOST_SLOW = 1000


class Bulkhead:
    """So many places, shared fairly. One that is taken is waited for, because calls are short and a burst is soon over;
    but not while a tenant's own calls are slow, for then those that wait would only join those that are held up."""

    def __init__(self, places: int) -> None:
        self._gate, self.room = Gate(), Room(places)
        self._since: dict[Turn, float] = {}
        self._slow: set[Hashable] = set()  # tenants whose last call was slow

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
                self._note(who.tenant, time.monotonic() - entered > SLOW_S)
            turn.leave()

    def _note(self, tenant: Hashable, is_slow: bool) -> None:
        if is_slow and len(self._slow) < MOST_SLOW:
            self._slow.add(tenant)
        elif not is_slow:
            self._slow.discard(tenant)

    def _wait(self, turn: Turn, most_s: float) -> bool:
        yielding()
        given_up, tenant = time.monotonic() + most_s, turn.who.tenant
        while not turn.wait(0 if tenant in self._slow else LOOK_S):
            if tenant in self._slow or self._is_stuck(tenant) or time.monotonic() > given_up:
                return False
        return True

    def _is_stuck(self, tenant: Hashable) -> bool:
        """Return whether none of the calls in the way has moved lately: a tenant's own, while places are left."""
        turns = list(self._since.items())
        since = [entered for turn, entered in turns if turn.who.tenant == tenant or not self.room.free]
        return bool(since) and time.monotonic() - max(since) > SLOW_S
