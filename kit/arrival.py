"""A request on its way in. Its bytes are gathered without a thread until there are enough to answer it.

Nothing is judged here. A request that is malformed, too large, late, or more than the budget holds goes on as it is:
the parser and the application read the rest themselves, and refuse it or wait for it in a thread (`kit.patience`).
"""

import re
import time
from collections.abc import Callable
from typing import Any, ClassVar

from gunicorn.http.body import LengthReader

from kit.patience import PatientSocket, Shares
from kit.strict import Chunks
from kit.transport import MAX_BODY_BYTES

HEAD_READ = 8192  # as gunicorn reads
BODY_READ = 256 * 1024
TURN_BYTES = 1024 * 1024  # that one client sends before others have their turn
LONGEST_HEAD = 16 * 1024
LONGEST_LINE = 1024  # of a chunk's size; the parser bears longer ones
LONGEST_TRAILERS = 16 * 1024
GATHERED_BYTES = 64 * 1024 * 1024  # of all unfinished requests of a process
LEAST_BYTES = 64 * 1024  # that an unfinished request counts for, so that their number is bounded too
SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}(?=[ \t]*(?:;|\Z))")


class Arrival:
    """One request, until it is read."""

    __slots__ = ("chunks", "counted", "sock", "unreader")
    _gathered: ClassVar[Shares] = Shares()

    def __init__(self, sock: PatientSocket, unreader: Any) -> None:
        self.sock, self.unreader = sock, unreader
        self.counted = 0
        self.chunks: Progress | None = None

    def has_head(self) -> bool:
        """Gather the head; False while its rest has to be waited for. Raises NothingCame, ClientGone."""
        return self._gather(_is_head, HEAD_READ)

    def has_body(self, request: Any) -> bool:
        """Gather the body of a request; False while its rest has to be waited for. Raises ClientGone."""
        reader = request.body.reader
        if isinstance(reader, LengthReader):
            length = reader.length
            if not length or length > MAX_BODY_BYTES:
                return True
            return self._gather(lambda buffer: bool(buffer.getbuffer().nbytes >= length), BODY_READ)
        if isinstance(reader, Chunks):
            self.chunks = self.chunks or Progress()
            is_there = self._gather(self.chunks.is_over, BODY_READ)
            if self.chunks.is_doubtful:
                request.force_close()  # also where nobody reads it, so that the answer says so
            return is_there
        return True

    def end(self) -> None:
        """The request is read, or given up: its bytes are counted no longer."""
        if self.counted:
            self._gathered.give(self.sock.address, self.counted)
            self.counted = 0

    def _gather(self, is_enough: Callable[[Any], bool], size: int) -> bool:
        volume = 0
        while not is_enough(self.unreader.buf):
            piece = self.sock.recv_now(size) if volume < TURN_BYTES else None
            if piece is None:
                return not self._may_wait()
            if not piece:  # the client sends no more
                return True
            buffer = self.unreader.buf
            buffer.seek(0, 2)
            buffer.write(piece)
            volume += len(piece)
        return True

    def _may_wait(self) -> bool:
        """Return whether there is time left for it, and room for what has come of it."""
        if time.monotonic() >= self.sock.deadline:
            return False
        more = LEAST_BYTES + self.unreader.buf.getbuffer().nbytes - self.counted
        if more > 0:
            if not self._gathered.take(self.sock.address, GATHERED_BYTES, more):
                return False
            self.counted += more
        return True


def _is_head(buffer: Any) -> bool:
    """Return whether the parser can judge a head without waiting: it is whole, overlong, or has a bare LF."""
    data = buffer.getvalue()
    return b"\r\n\r\n" in data or len(data) > LONGEST_HEAD or data.count(b"\n") != data.count(b"\r\n")


class Progress:
    """The part of a chunked body that is there (RFC 9112, 7.1)."""

    __slots__ = ("announced", "is_doubtful", "place")

    def __init__(self) -> None:
        self.place, self.announced, self.is_doubtful = 0, 0, False

    def is_over(self, buffer: Any) -> bool:
        """Return whether the reader can judge it without waiting: it is whole, malformed or too large."""
        data: bytes = buffer.getvalue()
        while True:
            end = data.find(b"\r\n", self.place)
            if end < 0:
                return len(data) - self.place > LONGEST_LINE
            match = SIZE.match(data, self.place, end)
            size = int(match[0], 16) if match else 0
            if not match or self.announced + size > MAX_BODY_BYTES:
                self.is_doubtful = True
                return True
            if not size:
                return data.find(b"\r\n\r\n", end) >= 0 or len(data) - end > LONGEST_TRAILERS
            after = end + 2 + size
            if len(data) < after + 2:
                return False
            if data[after : after + 2] != b"\r\n":
                self.is_doubtful = True
                return True
            self.announced += size
            self.place = after + 2
