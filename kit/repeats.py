"""A transaction that Postgres ended in favour of another one is done again, whole and from its beginning.

Two errors say so: 40P01, a deadlock, and 40001, a serialization failure. Nothing of such a transaction stands, so that
the same work may succeed a moment later. A lock that was waited for too long (55P03) is not repeated: its holder is
still at work.
"""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from kit import clock, deadline, metrics

LOST = ("40P01", "40001")
PAUSES_MS = (20, 60, 180)  # at most, before each repetition: two that met once should not meet again
ENOUGH_MS = 1000  # of the deadline, for one more try

T = TypeVar("T")


def is_lost(error: Exception) -> bool:
    """Return whether another transaction won, so that this one may be repeated."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "pgcode", None) in LOST


def until_won(service: str, work: Callable[[], T], undo: Callable[[], bool]) -> T:
    """Return what `work` returns; repeat it, a few times and within the deadline, when its transaction lost.

    `undo` puts everything back as it was, and returns whether the work may be repeated at all.
    """
    for pause_ms in PAUSES_MS:
        try:
            return work()
        except DBAPIError as error:
            if not is_lost(error) or deadline.remaining_ms() < ENOUGH_MS or not undo():
                raise
        metrics.REPEATS.labels(service).inc()
        clock.pause(pause_ms)
    return work()
