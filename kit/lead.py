"""The lead among the threads of a web process."""

import threading


class Lead:
    """The lead, which one of several threads has.

    Of those that wait for it the last one is next: its data is still in the processor's caches, and the others may
    sleep on until there is more to do.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: list[threading.Lock] = []

    def take(self, turn: threading.Lock) -> None:
        """Wait for the lead. `turn` is a lock of the thread's own, which it holds."""
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            self._waiting.append(turn)
        turn.acquire()

    def give(self) -> None:
        """Hand it to the next, or to whoever comes."""
        with self._lock:
            if self._waiting:
                self._waiting.pop().release()
            else:
                self._is_taken = False
