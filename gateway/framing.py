"""Reading an answer of HTTP/1.1 (RFC 9112) from a service: strictly, for what is doubtful here is a hole behind us."""

import re
from collections.abc import Callable, Iterator

from gateway.headers import Headers

MOST_HEAD = 64 * 1024
MOST_LINE = 8 * 1024  # of a chunk's size with its extensions (RFC 9112, 7.1.1), and of a trailer
MOST_FIELDS = 100
MOST_INTERIM = 8
LINE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\x00-\x08\x0a-\x1f\x7f]*)?\Z")
# Names and values of the alphabet (RFC 9110, 5.1 and 5.5), and so neither folded lines nor a lone CR or LF.
FIELD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*"
FIELDS = re.compile(rb"(?:\r\n" + FIELD + rb")*\Z")
TRAILER = re.compile(FIELD + rb"\Z")
SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?\Z")  # extensions are not for us (7.1.1)
LENGTH = re.compile(r"[0-9]{1,15}\Z")
END = b"\r\n\r\n"


class Malformed(Exception):
    """The other side does not speak HTTP/1.1, or breaks off."""


class Head:
    """A status, headers, and how the body is framed: by `length`, in chunks, or by the end of the connection."""

    __slots__ = ("headers", "is_chunked", "is_kept", "length", "status")

    def __init__(self, method: str, text: bytes) -> None:
        first, _, _ = text.partition(b"\r\n")
        found = LINE.match(first)
        if not found or not FIELDS.match(text, len(first)) or text.count(b"\r\n") > MOST_FIELDS:
            raise Malformed("no head")
        self.status = int(found[2])
        self.headers: Headers = []
        framing: dict[str, list[str]] = {"content-length": [], "transfer-encoding": [], "connection": []}
        for line in text.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            value = value.strip(" \t")
            self.headers.append((name, value))
            if (lower := name.lower()) in framing:
                framing[lower].append(value.lower())
        lengths, codings = framing["content-length"], framing["transfer-encoding"]
        self._frame(method, lengths, codings)
        has_end = self.length is not None or self.is_chunked
        is_open = found[1] == b"1" and "close" not in ",".join(framing["connection"])
        # Who announces two ends, or a body where none may be (RFC 9110, 8.6), may also send one.
        is_doubtful = bool(lengths and codings) or (self.status == 204 and (codings or lengths not in ([], ["0"])))
        self.is_kept = has_end and is_open and not is_doubtful

    def _frame(self, method: str, lengths: list[str], codings: list[str]) -> None:
        """Where the body ends (6.3). Two lengths are none; chunks win over a length, and nothing may follow them."""
        if codings not in ([], ["chunked"]) or len(lengths) > 1:
            raise Malformed("no framing")
        if lengths and not LENGTH.match(lengths[0]):
            raise Malformed("no length")
        if lengths and codings:  # nobody may go by what does not hold
            self.headers = [(name, value) for name, value in self.headers if name.lower() != "content-length"]
        self.is_chunked = bool(codings)
        self.length = int(lengths[0]) if lengths and not codings else None
        if method == "HEAD" or self.status in (204, 304) or self.status < 200:
            self.is_chunked, self.length = False, 0


class Reader:
    """The answer to one request. `more` gives the next bytes, empty at the end of the connection."""

    def __init__(self, method: str, more: Callable[[], bytes]) -> None:
        self.method, self.more = method, more
        self._held = b""
        self._interim = 0
        self.has_begun = False  # to be answered

    def head(self) -> Head:
        """The head of the final answer. Raises Malformed, and what `more` raises; then it may be asked again."""
        while True:
            head = Head(self.method, self._until(END, MOST_HEAD))
            if head.status != 100:  # nobody asked for that, but it may be said (RFC 9110, 15.2.1)
                return head
            self._interim += 1
            if self._interim > MOST_INTERIM:
                raise Malformed("it goes on for ever")

    def body(self, head: Head) -> Iterator[bytes]:
        """Its body in pieces. Raises Malformed unless it is whole."""
        if head.is_chunked:
            yield from self._chunks()
        elif head.length is not None:
            yield from self._exactly(head.length)
        else:
            yield self._take(len(self._held))
            while piece := self.more():
                yield piece

    @property
    def is_empty(self) -> bool:
        """Whether nothing came behind the answer, where nothing may."""
        return not self._held

    def _exactly(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._take(left) if self._held else self._some()
            if len(piece) > left:
                piece, self._held = piece[:left], piece[left:]
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size = SIZE.match(self._line())
            if not size:
                raise Malformed("no chunk")
            if not int(size[1], 16):
                break
            yield from self._exactly(int(size[1], 16))
            if self._line():
                raise Malformed("a chunk that is too long")
        fields = 0
        while line := self._line():  # trailers, which nobody of ours sends, are not passed on (6.5.1)
            fields += 1
            if fields > MOST_FIELDS or not TRAILER.match(line):
                raise Malformed("no trailers")

    def _line(self) -> bytes:
        return self._until(b"\r\n", MOST_LINE)

    def _until(self, end: bytes, most: int) -> bytes:
        """What comes before an end. What is too long is so however it is cut into pieces. Raises Malformed."""
        while (found := self._held.find(end)) < 0 and len(self._held) < most + len(end):
            self._held += self._some()
        if not 0 <= found <= most:
            raise Malformed("too long")
        text, self._held = self._held[:found], self._held[found + len(end) :]
        return text

    def _take(self, most: int) -> bytes:
        piece, self._held = self._held[:most], self._held[most:]
        return piece

    def _some(self) -> bytes:
        piece = self.more()
        if not piece:
            raise Malformed("it breaks off")
        self.has_begun = True
        return piece
