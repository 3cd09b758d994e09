"""Time, ids and pauses: the things that a test or a simulation must be able to replace."""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

_source: Callable[[], float] = time.time
_sleep: Callable[[float], None] = time.sleep


def timestamp() -> float:
    """Seconds since 1970 in UTC."""
    return _source()


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.fromtimestamp(_source(), UTC)


@contextmanager
def shifted(by: timedelta) -> Iterator[None]:
    """Move the clock for everything in this process, as a test of expiry needs."""
    global _source
    before = _source
    _source = lambda: before() + by.total_seconds()  # noqa: E731
    try:
        yield
    finally:
        _source = before


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562, 5.7): 48 bits of milliseconds, then randomness, so that new rows sort last."""
    milliseconds = int(_source() * 1000)
    value = int.from_bytes(milliseconds.to_bytes(6, "big") + os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def pause(most_ms: int) -> None:
    """Wait a random time of at most `most_ms` milliseconds, so that those who met once do not meet again."""
    _sleep(random.uniform(0, most_ms) / 1000)  # noqa: S311 - nothing secret depends on it
