"""The lead among the threads of a web process."""

import threading


class Lead:
    """Which of several threads leads. Of those that wait for it the last one is next: the processor still knows what
    it worked on, and the others may sleep on until there is more to do."""

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
