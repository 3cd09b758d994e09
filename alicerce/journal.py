"""Output of the children: lines on the terminal, and one JSON object a line in the file `logs/alicerce.log`."""

import json
import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from alicerce import home
from kit.config import ENV, lookup

LIMIT_BYTES = 32 * 1024**2
AGE_SECONDS = 24 * 3600.0
KEPT = 7
SHOWN_BYTES = 16 * 1024
RETRY_SECONDS = 1.0
POLL_SECONDS = 0.2
# A terminal that is ready for one byte has room for 256, and shows each newline as two bytes.
TERMINAL_BYTES = 128
OUTPUT = "output"  # the logger of a line that was no record: a traceback, a word of gunicorn, a message of ours


class Journal:
    """Writes lines to standard output and, as JSON, to a file that is turned when it is large or a day old.

    It is never turned at a start, so that what was written before a crash stays. The previous files are `.1` to `.7`.
    A full disk, or a terminal that is closed or not read, loses lines and nothing else: the platform outlives its log.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path, self._clock = path, clock
        self._file: BinaryIO | None = None
        self._closed = False
        self._file_cut = self._terminal_cut = False  # the last line there lacks its end
        self._open()

    def write(self, line: str, process: str = "supervisor", *, prefix: str = "") -> None:
        """Write one line of a process, given without its end. The prefix is for the terminal alone."""
        self._append(as_json(line, process, self._clock()))
        self._show(prefix + line)

    def close(self) -> None:
        """Close the file; what is written after this reaches the terminal alone."""
        self._closed = True
        self._release()

    def _append(self, record: str) -> None:
        now = self._clock()
        if self._file is None:
            if self._closed or abs(now - self._begun) < RETRY_SECONDS:
                return
            self._open()
        elif self._size > LIMIT_BYTES or now - self._begun > AGE_SECONDS:
            self._release()
            turn(self.path)
            self._open()
        with suppress(OSError):
            if self._file is not None:
                data = _framed(record, self._file_cut)
                written = self._file.write(data) or 0
                self._size += written
                self._file_cut = _cuts(data, written, self._file_cut)

    def _show(self, text: str) -> None:
        """Write a line to the terminal, as far as it can be taken at once; the file has the rest."""
        with suppress(OSError, ValueError, AttributeError):  # closed, or none at all
            data = _framed(text, self._terminal_cut)
            self._terminal_cut = _cuts(data, _offer(sys.stdout.fileno(), data), self._terminal_cut)

    def _release(self) -> None:
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._file = None

    def _open(self) -> None:
        self._size, self._begun, self._file_cut = 0, self._clock(), False
        with suppress(OSError):
            self._file = open(self.path, "a+b", buffering=0, opener=home.private)  # noqa: SIM115
            self._size = self._file.seek(0, os.SEEK_END)
            if self._size and self.path.is_file():
                self._file.seek(0)
                self._begun = _moment(self._file.read(SHOWN_BYTES)) or self._begun
                self._file.seek(-1, os.SEEK_END)
                self._file_cut = self._file.read(1) != b"\n"  # by a crash


def _framed(line: str, cut: bool) -> bytes:
    return b"\n" * cut + line.encode("utf-8", "replace") + b"\n"


def _cuts(data: bytes, written: int, before: bool) -> bool:
    """Return whether a line is cut after so many bytes of the data."""
    return not data[:written].endswith(b"\n") if written else before


def _offer(descriptor: int, data: bytes) -> int:
    """Write what can be taken without waiting, and return the number of bytes.

    A terminal that stops reading (Ctrl-S, a pager, a lost connection) would stop the platform otherwise. O_NONBLOCK
    would be no way: the shell shares it.
    """
    size = TERMINAL_BYTES if os.isatty(descriptor) else select.PIPE_BUF
    ready = select.poll()  # select.select cannot watch a descriptor above 1023
    ready.register(descriptor, select.POLLOUT)
    written = 0
    while written < len(data) and any(event & select.POLLOUT for _, event in ready.poll(0)):
        written += os.write(descriptor, data[written : written + size])
    return written


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
    own = record_of(line)
    if "process" in own:
        return json.dumps({**own, "process": process}, ensure_ascii=False, separators=(",", ":"))
    if own:
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
    """Yield the last lines of the file, then every new one as long as `running()` holds.

    A file that replaces it is read from its start.
    """
    shown, more = SHOWN_BYTES, True
    while more:
        more = running()
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                _skip(file, shown)
                yield from _lines(path, file, running)
                more = not _same(path, file)
        except FileNotFoundError:  # between the renaming of one and the making of the next
            time.sleep(POLL_SECONDS)
        shown = sys.maxsize


def _skip(file: TextIO, shown: int) -> None:
    """Go to the first whole line of the last bytes of a file."""
    if start := max(0, os.fstat(file.fileno()).st_size - shown):
        file.seek(start)
        file.readline()


def _lines(path: Path, file: TextIO, running: Callable[[], bool]) -> Iterator[str]:
    """Yield the lines from here on, until the file is another one or nothing runs any more."""
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
            time.sleep(POLL_SECONDS)


def _same(path: Path, file: TextIO) -> bool:
    with suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False
