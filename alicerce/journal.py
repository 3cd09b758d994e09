"""What the children say: one stream on the terminal and one file, `logs/alicerce.log`."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

LIMIT_BYTES = 64 * 1024**2
SHOWN_BYTES = 16 * 1024


class Journal:
    """Writes lines to standard output and to a file whose previous self is kept as `.1`.

    A full disk or a closed terminal loses lines and nothing else: the platform outlives its log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._size = 0
        self._turn()

    def write(self, line: str) -> None:
        """Write one line, given without its end."""
        data = line.encode("utf-8", "replace") + b"\n"
        with suppress(OSError, ValueError):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        if self._size > LIMIT_BYTES:
            self._turn()
        if self._file is not None:
            with suppress(OSError):
                self._size += self._file.write(data)

    def _turn(self) -> None:
        self._size = 0
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
            self._file = None
            if self.path.exists():
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            self._file = self.path.open("ab", buffering=0)


def follow(path: Path, running: Callable[[], bool]) -> Iterator[str]:
    """The last lines of the file, then every new one as long as `running()` holds; a replaced file is read anew."""
    more = path.exists()
    while more:
        with path.open(encoding="utf-8", errors="replace") as file:
            start = max(0, os.fstat(file.fileno()).st_size - SHOWN_BYTES)
            file.seek(start)
            if start:
                file.readline()  # the rest of a line whose start is not shown
            yield from _lines(path, file, running)
        more = running()


def _lines(path: Path, file: TextIO, running: Callable[[], bool]) -> Iterator[str]:
    """The lines from here on, until the file is another one or nothing runs any more."""
    begun, ended = "", False
    while not ended:
        # Asked before reading: what was written until the end came is still read after it.
        ended = not running() or not _same(path, file)
        while text := file.readline():
            begun += text
            if begun.endswith("\n"):
                yield begun[:-1]
                begun = ""
        if not ended:
            time.sleep(0.2)


def _same(path: Path, file: TextIO) -> bool:
    with suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False
