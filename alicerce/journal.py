"""Output of the children: lines on the terminal, and one JSON object a line in the file `logs/alicerce.log`."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from kit.config import ENV, lookup

LIMIT_BYTES = 32 * 1024**2
AGE_SECONDS = 24 * 3600.0
KEPT = 7
SHOWN_BYTES = 16 * 1024
OUTPUT = "output"  # the logger of a line that was no record: a traceback, a word of gunicorn, a message of ours


class Journal:
    """Writes lines to standard output and, as JSON, to a file that is turned when it is large or a day old.

    It is never turned at a start, so that what was written before a crash stays. The previous files are `.1` to `.7`.
    A full disk or a closed terminal loses lines and nothing else: the platform outlives its log.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path, self._clock = path, clock
        self._file: BinaryIO | None = None
        self._open()

    def write(self, line: str, process: str = "supervisor", *, prefix: str = "") -> None:
        """Write one line of a process, given without its end. The prefix is for the terminal alone."""
        with suppress(OSError, ValueError):
            sys.stdout.buffer.write((prefix + line).encode("utf-8", "replace") + b"\n")
            sys.stdout.buffer.flush()
        now = self._clock()
        if self._size > LIMIT_BYTES or now - self._begun > AGE_SECONDS:
            self._turn()
        if self._file is not None:
            with suppress(OSError):
                self._size += self._file.write(as_json(line, process, now).encode("utf-8", "replace") + b"\n")

    def close(self) -> None:
        """Close the file; what is written after this reaches the terminal alone."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._file = None

    def _open(self) -> None:
        self._size, self._begun = 0, self._clock()
        with suppress(OSError):
            self._file = self.path.open("a+b", buffering=0)
            self._size = self._file.seek(0, os.SEEK_END)
            if self._size and self.path.is_file():
                self._file.seek(0)
                self._begun = _moment(self._file.read(SHOWN_BYTES)) or self._begun
                self._file.seek(-1, os.SEEK_END)
                if self._file.read(1) != b"\n":  # a crash cut the last line
                    self._file.write(b"\n")

    def _turn(self) -> None:
        self.close()
        turn(self.path)
        self._open()


def turn(path: Path) -> None:
    """Rename a file to `.1`, the one before it to `.2`, and so on; the oldest goes."""
    names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, KEPT + 1))]
    for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
        with suppress(OSError):
            newer.replace(older)


def turn_open(path: Path) -> None:
    """Copy a large file that another program goes on appending to into `.1`, and empty it."""
    with suppress(OSError):
        if path.stat().st_size > LIMIT_BYTES:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            path.with_name(f"{path.name}.1").chmod(0o600)
            os.truncate(path, 0)


def as_json(line: str, process: str, now: float) -> str:
    """Return the record of a line: itself with the name of its process, or a record that holds it."""
    if record_of(line):
        return f'{{"process":"{process}",{line.lstrip()[1:]}'
    record = {
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds"),
        "level": "INFO",
        "service": process,
        "environment": lookup(ENV.name) or ENV.default,  # unchecked: a log has to write what is wrong with it
        "logger": OUTPUT,
        "message": line,
    }
    return json.dumps({"process": process, **record}, ensure_ascii=False, separators=(",", ":"))


def record_of(line: str) -> dict[str, Any]:
    """Return the JSON object that a line is; empty when it is none."""
    if line.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            return dict(json.loads(line))
    return {}


def _moment(beginning: bytes) -> float | None:
    """Return the time of the first record of a file."""
    with suppress(ValueError):
        written = record_of(beginning.partition(b"\n")[0].decode("utf-8", "replace")).get("time")
        return datetime.fromisoformat(str(written)).timestamp()
    return None


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
