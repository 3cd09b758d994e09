"""Which descriptors have something to say. Each is told of once, and then only when it was asked about again.

So a descriptor that was told of belongs to who heard it, and no other thread comes upon it. An answer may be out of
date all the same: a descriptor's number may belong to another connection by then. Who takes it has to bear that.
"""

import os
import select
import threading
from contextlib import suppress
from typing import Protocol

READABLE, WRITABLE = select.POLLIN, select.POLLOUT
BATCH = 64


class Poller(Protocol):
    def ask(self, number: int, event: int) -> None:
        """Tell once when this happens, or an end, in place of what was asked before. Raises OSError."""

    def forget(self, number: int) -> None:
        """Nothing is told of it any more."""

    def wait(self) -> list[int]:
        """The descriptors that have something to say, as soon as there are any; now and then none."""


class Epoll:
    """As Linux does it."""

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def ask(self, number: int, event: int) -> None:
        try:
            self._epoll.modify(number, event | select.EPOLLONESHOT)
        except FileNotFoundError:
            self._epoll.register(number, event | select.EPOLLONESHOT)

    def forget(self, number: int) -> None:
        with suppress(OSError):
            self._epoll.unregister(number)

    def wait(self) -> list[int]:
        return [number for number, _ in self._epoll.poll(maxevents=BATCH)]


class Poll:
    """As every Unix does it: all that is asked about is handed over for each wait, so a pipe has to end one."""

    def __init__(self) -> None:
        self._asked: dict[int, int] = {}
        self._lock = threading.Lock()
        self._woken, self._wakes = os.pipe()
        for end in (self._woken, self._wakes):
            os.set_blocking(end, False)

    def ask(self, number: int, event: int) -> None:
        with self._lock:
            self._asked[number] = event
        with suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._wakes, b".")

    def forget(self, number: int) -> None:
        with self._lock:
            self._asked.pop(number, None)

    def wait(self) -> list[int]:
        poll = select.poll()
        poll.register(self._woken, READABLE)
        with self._lock:
            for number, event in self._asked.items():
                poll.register(number, event)
        ready = {number for number, _ in poll.poll()}
        if self._woken in ready:
            with suppress(BlockingIOError):
                os.read(self._woken, 4096)
        with self._lock:
            return [number for number in ready if self._asked.pop(number, None) is not None]


def poller() -> Poller:
    """The best that this system has."""
    return Epoll() if hasattr(select, "epoll") else Poll()
