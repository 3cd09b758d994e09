"""Answers of services as bytes: read exactly as RFC 9112 says, or refused, however they are cut into pieces."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.framing import MOST_FIELDS, MOST_HEAD, MOST_INTERIM, MOST_LINE, Malformed, Reader

Read = tuple[int, list[tuple[str, str]], bytes, bool]
OK = b"HTTP/1.1 200 OK\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(pieces: Iterator[bytes] | list[bytes], method: str = "GET") -> tuple[Read, Reader]:
    """Status, headers, body and whether the connection may be kept; the connection ends after the pieces."""
    left = iter(pieces)
    reader = Reader(method, lambda: next(left, b""))
    head = reader.head()
    return (head.status, head.headers, b"".join(reader.body(head)), head.is_kept), reader


def outcome(pieces: list[bytes], method: str = "GET") -> Read | None:
    """None: refused."""
    try:
        return read(pieces, method)[0]
    except Malformed:
        return None


def one(answer: bytes, method: str = "GET") -> tuple[int, bytes, bool]:
    """An answer that is not refused: status, body, and whether the connection is kept, also by what came behind it."""
    (status, _, body, is_kept), reader = read([answer], method)
    return status, body, is_kept and reader.is_empty


def said(*lines: str, body: bytes = b"", first: str = "HTTP/1.1 200 OK") -> bytes:
    return "".join(f"{line}\r\n" for line in (first, *lines, "")).encode("latin-1") + body


RIGHT = {
    "a length": (said("Content-Length: 2", body=b"ok"), "GET", (200, b"ok", True)),
    "no reason": (said("Content-Length: 2", body=b"ok", first="HTTP/1.1 200"), "GET", (200, b"ok", True)),
    "a length without a space": (said("Content-Length:2", body=b"ok"), "GET", (200, b"ok", True)),
    "a length with leading noughts": (said("Content-Length: 002", body=b"ok"), "GET", (200, b"ok", True)),
    "no body": (said("Content-Length: 0"), "GET", (200, b"", True)),
    "until the end": (said(body=b"ok"), "GET", (200, b"ok", False)),
    "chunks": (said("Transfer-Encoding: Chunked", body=b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n"), "GET", (200, b"ok", True)),
    "hex in both cases": (
        CHUNKED + b"0A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
        "GET",
        (200, b"0123456789" * 2, True),
    ),
    "an extension": (CHUNKED + b'2 ;a="b;c"\r\nok\r\n0;x\r\n\r\n', "GET", (200, b"ok", True)),
    "trailers": (CHUNKED + b"2\r\nok\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n", "GET", (200, b"ok", True)),
    "chunks and a length": (
        said("Content-Length: 1", "Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
        "GET",
        (200, b"ok", False),
    ),
    "HTTP/1.0": (said("Content-Length: 2", body=b"ok", first="HTTP/1.0 200 OK"), "GET", (200, b"ok", False)),
    "HTTP/1.0 that wants to be kept": (
        said("Connection: keep-alive", "Content-Length: 2", body=b"ok", first="HTTP/1.0 200 OK"),
        "GET",
        (200, b"ok", False),
    ),
    "an end that is announced": (
        said("Connection: Close", "Content-Length: 2", body=b"ok"),
        "GET",
        (200, b"ok", False),
    ),
    "an end in a list": (said("Connection: x, close", "Content-Length: 2", body=b"ok"), "GET", (200, b"ok", False)),
    "an end in a second header": (
        said("Connection: x", "Connection: close", "Content-Length: 2", body=b"ok"),
        "GET",
        (200, b"ok", False),
    ),
    "HEAD": (said("Content-Length: 1000"), "HEAD", (200, b"", True)),
    "HEAD of chunks": (said("Transfer-Encoding: chunked"), "HEAD", (200, b"", True)),
    "HEAD with a body": (said("Content-Length: 2", body=b"ok"), "HEAD", (200, b"", False)),
    "304": (said("Content-Length: 1000", first="HTTP/1.1 304 Not Modified"), "GET", (304, b"", True)),
    "204": (said(first="HTTP/1.1 204 No Content"), "GET", (204, b"", True)),
    "204 of no bytes": (said("Content-Length: 0", first="HTTP/1.1 204 No Content"), "GET", (204, b"", True)),
    "204 that announces a body": (said("Content-Length: 2", first="HTTP/1.1 204 No Content"), "GET", (204, b"", False)),
    "204 in chunks": (said("Transfer-Encoding: chunked", first="HTTP/1.1 204 No Content"), "GET", (204, b"", False)),
    "a second answer behind it": (said("Content-Length: 2", body=b"ok" + OK), "GET", (200, b"ok", False)),
    "a byte behind its chunks": (CHUNKED + b"0\r\n\r\nx", "GET", (200, b"", False)),
    "a byte behind 304": (said(first="HTTP/1.1 304 Not Modified", body=b"x"), "GET", (304, b"", False)),
    "continue first": (CONTINUE * MOST_INTERIM + said("Content-Length: 2", body=b"ok"), "GET", (200, b"ok", True)),
    "an early hint is the answer, which the gateway refuses": (
        said("Link: </x>", first="HTTP/1.1 103 Early Hints", body=said("Content-Length: 0")),
        "GET",
        (103, b"", False),
    ),
    "a head of the greatest length": (
        OK + b"X: " + b"y" * (MOST_HEAD - len(OK) - 3) + b"\r\n\r\n",
        "GET",
        (200, b"", False),
    ),
    "as many fields as may be": (said(*["X: y"] * MOST_FIELDS), "HEAD", (200, b"", True)),
}
REFUSED = {
    "two lengths": said("Content-Length: 2", "Content-Length: 5", body=b"ok"),
    "the same length twice": said("Content-Length: 2", "content-length: 2", body=b"ok"),
    "a list of lengths": said("Content-Length: 2, 2", body=b"ok"),
    "a sign": said("Content-Length: +2", body=b"ok"),
    "a negative length": said("Content-Length: -2", body=b"ok"),
    "a space within": said("Content-Length: 2 2", body=b"ok" * 11),
    "a hexadecimal length": said("Content-Length: 0x2", body=b"ok"),
    "a digit with an underscore": said("Content-Length: 1_0", body=b"0123456789"),
    "a digit of another script": said("Content-Length: \xb2", body=b"ok"),
    "a huge length": said("Content-Length: " + "9" * 16, body=b"ok"),
    "an empty length": said("Content-Length:", body=b"ok"),
    "gzip after chunks": said("Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "gzip before chunks": said("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunks twice": said("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "chunks in two headers": said("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "gzip in a second header": said("Transfer-Encoding: chunked", "Transfer-Encoding: gzip", body=b"0\r\n\r\n"),
    "nearly chunked": said("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "identity": said("Transfer-Encoding: identity", "Content-Length: 2", body=b"ok"),
    "chunks and a bad length": said("Transfer-Encoding: chunked", "Content-Length: x", body=b"0\r\n\r\n"),
    "a line feed alone": OK + b"X: a\nContent-Length: 2\r\n\r\nok",
    "line feeds only": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "a carriage return alone": OK + b"X: a\rContent-Length: 2\r\n\r\nok",
    "a folded line": OK + b"X: a\r\n Content-Length: 2\r\n\r\nok",
    "a folded first line": OK + b" Content-Length: 2\r\n\r\nok",
    "NUL in a value": OK + b"X: a\x00b\r\n\r\n",
    "NUL in a name": OK + b"X\x00: b\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 2\r\n\r\nok",
    "a name of nothing": OK + b": 2\r\n\r\nok",
    "no colon": OK + b"Content-Length 2\r\n\r\nok",
    "a name in another alphabet": OK + b"Content-Length\xa0: 2\r\n\r\nok",
    "DEL in a value": OK + b"X: \x7f\r\n\r\n",
    "a control byte in the reason": b"HTTP/1.1 200 O\x0bK\r\n\r\n",
    "HTTP/2": said(first="HTTP/2 200"),
    "HTTP/1.2": said(first="HTTP/1.2 200 OK"),
    "HTTP/0.9": b"hello\r\n\r\n",
    "another name": said(first="http/1.1 200 OK"),
    "a status of two digits": said(first="HTTP/1.1 20 OK"),
    "a status of four digits": said(first="HTTP/1.1 2000 OK"),
    "a status below 100": said(first="HTTP/1.1 099 OK"),
    "two spaces": said(first="HTTP/1.1  200 OK"),
    "a line before the first": b"\r\n" + said("Content-Length: 0"),
    "continue without end": CONTINUE * (MOST_INTERIM + 1) + said("Content-Length: 0"),
    "continue and nothing else": CONTINUE,
    "a head that is too long": OK + b"X: " + b"y" * (MOST_HEAD - len(OK) - 2) + b"\r\n\r\n",
    "a head without end": OK + b"X: " + b"y" * 2 * MOST_HEAD,
    "too many fields": said(*["X: y"] * (MOST_FIELDS + 1), "Content-Length: 0"),
    "a short body": said("Content-Length: 3", body=b"ok"),
    "no chunk": CHUNKED,
    "no last chunk": CHUNKED + b"2\r\nok\r\n",
    "no end behind the last chunk": CHUNKED + b"0\r\n",
    "a size with a sign": CHUNKED + b"+2\r\nok\r\n0\r\n\r\n",
    "a size with 0x": CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n",
    "a size with a space before it": CHUNKED + b" 2\r\nok\r\n0\r\n\r\n",
    "a size with a space behind it": CHUNKED + b"2 \r\nok\r\n0\r\n\r\n",
    "an empty size": CHUNKED + b"\r\nok\r\n0\r\n\r\n",
    "a size that is an extension only": CHUNKED + b";x\r\n\r\n",
    "a huge size": CHUNKED + b"1" + b"0" * 15 + b"\r\nok",
    "a chunk longer than its size": CHUNKED + b"1\r\nok\r\n0\r\n\r\n",
    "a chunk shorter than its size": CHUNKED + b"3\r\nok\r\n0\r\n\r\n",
    "a line feed behind a size": CHUNKED + b"2\nok\r\n0\r\n\r\n",
    "a line feed in an extension": CHUNKED + b"2;a\nb\r\nok\r\n0\r\n\r\n",
    "NUL in an extension": CHUNKED + b"2;\x00\r\nok\r\n0\r\n\r\n",
    "an extension without end": CHUNKED + b"2;" + b"x" * MOST_LINE + b"\r\nok\r\n0\r\n\r\n",
    "a trailer that is no field": CHUNKED + b"0\r\nGET / HTTP/1.1\r\n\r\n",
    "a folded trailer": CHUNKED + b"0\r\nX: y\r\n z\r\n\r\n",
    "a line feed in a trailer": CHUNKED + b"0\r\nX: y\nZ: a\r\n\r\n",
    "NUL in a trailer": CHUNKED + b"0\r\nX: \x00\r\n\r\n",
    "a trailer without end": CHUNKED + b"0\r\nX: " + b"y" * MOST_LINE + b"\r\n\r\n",
    "too many trailers": CHUNKED + b"0\r\n" + b"X: y\r\n" * (MOST_FIELDS + 1) + b"\r\n",
}


@pytest.mark.parametrize("name", RIGHT)
def test_an_answer_is_read_exactly(name: str) -> None:
    answer, method, expected = RIGHT[name]
    assert one(answer, method) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_a_doubtful_answer_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        read([REFUSED[name]])


ALL = {**{name: (answer, method) for name, (answer, method, _) in RIGHT.items()}} | {
    name: (answer, "GET") for name, answer in REFUSED.items()
}


@pytest.mark.parametrize("name", ALL)
def test_where_an_answer_is_cut_into_pieces_makes_no_difference(name: str) -> None:
    answer, method = ALL[name]
    expected = outcome([answer], method)
    step = max(1, len(answer) // 300)
    for cut in range(step, len(answer), step):
        assert outcome([answer[:cut], answer[cut:]], method) == expected, cut
    if len(answer) < 1000:
        assert outcome([bytes([byte]) for byte in answer], method) == expected


@pytest.mark.parametrize(
    "answer",
    [
        said("Content-Length: 2", "X: y", body=b"ok"),
        CHUNKED + b"2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n",
        CONTINUE + said("Content-Length: 0"),
    ],
    ids=["a length", "chunks", "continue"],
)
def test_an_answer_that_breaks_off_anywhere_is_never_whole(answer: bytes) -> None:
    assert outcome([answer]) is not None
    for end in range(len(answer)):
        assert outcome([answer[:end]]) is None, end


def test_a_length_that_chunks_contradict_is_told_to_nobody() -> None:
    (_, headers, _, _), _ = read([RIGHT["chunks and a length"][0]])
    assert headers == [("Transfer-Encoding", "chunked")]


def test_a_service_that_says_continue_for_ever_is_given_up() -> None:
    asked = 0

    def more() -> bytes:
        nonlocal asked
        asked += 1
        assert asked < 1000
        return CONTINUE

    with pytest.raises(Malformed):
        Reader("GET", more).head()


bodies = st.binary(max_size=200)


def cut(answer: bytes, places: list[int]) -> list[bytes]:
    """The answer in pieces, none of them empty: that would be the end of the connection."""
    ends = sorted({place % (len(answer) + 1) for place in places} | {len(answer)})
    return [piece for start, end in zip([0, *ends], ends, strict=False) if (piece := answer[start:end])]


@given(bodies, st.lists(st.integers(1, 50)), st.lists(st.integers(0, 500)), st.booleans())
def test_any_body_comes_through_whole(body: bytes, sizes: list[int], places: list[int], chunks: bool) -> None:
    answer = said(f"Content-Length: {len(body)}", body=body)
    if chunks:
        answer, rest = CHUNKED, body
        for size in sizes:
            piece, rest = rest[:size], rest[size:]
            answer += b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        answer += (b"%X\r\n%b\r\n" % (len(rest), rest) if rest else b"") + b"0\r\n\r\n"
    (status, _, received, is_kept), reader = read(cut(answer, places))
    assert (status, received, is_kept, reader.is_empty) == (200, body, True, True)


fragments = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b":", b";", b"0", b"2", b"ok", b"Content-Length: 2"]
    + [
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content",
    ]
    + [b"\x00", b"0\r\n\r\n", b"2\r\nok\r\n"]
)


@given(st.lists(fragments, max_size=12).map(b"".join) | st.binary(max_size=100), st.lists(st.integers(0, 300)))
def test_any_bytes_are_refused_or_read_alike_in_any_pieces(answer: bytes, places: list[int]) -> None:
    expected = outcome([answer]) if answer else None
    assert outcome(cut(answer, places)) == expected


@given(bodies.filter(bool), bodies.filter(bool), st.sampled_from(["GET", "HEAD"]), st.sampled_from([200, 204, 304]))
def test_a_connection_with_something_behind_its_answer_is_not_kept(
    body: bytes, behind: bytes, method: str, status: int
) -> None:
    answer = said(f"Content-Length: {len(body)}", first=f"HTTP/1.1 {status} X", body=body + behind)
    (_, _, _, is_kept), reader = read([answer], method)
    assert not (is_kept and reader.is_empty)
