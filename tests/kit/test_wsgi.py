"""The reader of common requests takes a part of what gunicorn takes, and says the same of it."""

from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import Parser
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kit.gunicorn
from kit.errors import Problem
from kit.strict import StrictRequest, is_host
from kit.transport import MAX_BODY_BYTES
from kit.wsgi import COMMON_BYTES, PlainParser, fixed

SAID = ("method", "uri", "path", "query", "fragment", "version", "headers", "scheme", "must_close")
SAID_BY_BOTH = (*SAID, "_expected_100_continue", "trailers", "proxy_protocol_info")
COMMON = b"GET /api/customers?page=2 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: t\r\nConnection: keep-alive\r\n\r\n"
POSTED = b"POST /api/customers HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\n{}GET / HTTP/1.1\r\n\r\n"
PIECES = (
    *("GET", "POST", "get", "OPTIONS", "CONNECT", " ", "  ", "\t", "/", "//", "/a", "*", "http://a/", "?", "#", "%2f"),
    *(
        " HTTP/1.1",
        " HTTP/1.0",
        " HTTP/2.0",
        "\r\n",
        "\r",
        "\n",
        "\r\n\r\n",
        "Host: a",
        "Host : a",
        "X_Y: 1",
        ":",
        "a:b",
    ),
    *(
        "Content-Length: 2",
        "Content-Length: +2",
        "Content-Length: 2, 2",
        "Content-Length:",
        "Transfer-Encoding: chunked",
    ),
    *("Connection: close", "Connection: Keep-Alive", "Connection: x, close", "Expect: 100-continue", " folded", "\x00"),
    *("Host: a b", "Host: [::1]:80", "Host: a:99999", "Host:", "b/../@", " HTTP/1.2", "identity, ", "99999999999"),
    *("\x7f", "\xe9", "\u0663", "{}", "\x0b", "\x85"),
)


class Their(Parser):
    """gunicorn's own, with the rules of ours that hold for every request."""

    mesg_class = StrictRequest


def configured() -> Any:
    cfg = Config()
    for name in ("http_parser", "header_map", "limit_request_line", "limit_request_fields", "limit_request_field_size"):
        cfg.set(name, getattr(kit.gunicorn, name))
    return fixed(cfg)


def read(kind: type[Parser], data: bytes) -> tuple[Any, dict[str, Any]]:
    """The first request of a connection: itself, and what it says, its body and the rest included."""
    parser = kind(configured(), iter([data]), ("127.0.0.1", 1))
    try:
        request = next(parser)
    except (ParseException, StopIteration, OSError) as error:
        return None, {"error": type(error)}
    said = {name: getattr(request, name) for name in SAID_BY_BOTH}
    said["closes"] = request.should_close()
    try:
        said["body"] = request.body.read()
    except (ParseException, OSError, Problem) as error:
        said["body"] = type(error)
    return request, said | {"rest": parser.unreader.buf.getvalue()}


@given(
    start=st.sampled_from([COMMON, POSTED]),
    changes=st.lists(
        st.tuples(st.integers(0, 120), st.integers(0, 3), st.sampled_from(PIECES) | st.text(max_size=3)), max_size=4
    ),
)
@example(start=COMMON, changes=[])
@example(start=POSTED, changes=[])
@settings(max_examples=300, deadline=None)
def test_what_is_read_here_gunicorn_reads_the_same(start: bytes, changes: list[tuple[int, int, str]]) -> None:
    data = start
    for place, gone, piece in changes:
        data = data[:place] + piece.encode("utf-8", "replace") + data[place + gone :]
    said_by_us = read(PlainParser, data)[1]
    said_by_them = read(Their, data)[1]
    assert said_by_us == said_by_them


@pytest.mark.parametrize("data", [COMMON, POSTED])
def test_a_common_request_is_read_here(data: bytes) -> None:
    assert read(PlainParser, data)[0].is_common


@pytest.mark.parametrize(
    "line",
    [
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Connection: close",
        "Connection: authorization",
        "X_User_Id: 1",
        "Host: another",
        "Content-Length: 10485761",
        "Content-Length: 0\r\nContent-Length: 0",
        "Name : value",
        "X-Name: a\r\n folded",
        "X-Name: \x01",
        "X-Name: \xe9",
    ],
)
def test_what_is_not_common_is_left_to_gunicorn(line: str) -> None:
    data = COMMON.replace(b"User-Agent: t", line.encode("latin-1")).replace(b"Connection: keep-alive\r\n", b"")
    request, said = read(PlainParser, data)
    assert request is None or not request.is_common
    assert said == read(Their, data)[1]


def test_a_head_that_is_read_here_is_below_every_limit() -> None:
    assert kit.gunicorn.limit_request_line >= COMMON_BYTES
    assert kit.gunicorn.limit_request_field_size >= COMMON_BYTES
    assert kit.gunicorn.limit_request_fields >= 64


@pytest.mark.parametrize(
    "host",
    ["a", "a.example", "a.example:8080", "a_b", "a.", "a:", "127.0.0.1:1", "[::1]", "[2001:db8::7]:65535", "a" * 255],
)
def test_a_host_is_a_name_or_an_address_and_perhaps_a_port(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", "a b", "b/../@", "a b/../@", "user@a", "user:word@a", "a/", "/", "a?b", "a#b", "a\\b", "a%20b"),
        *("a,b", "a;b", "a:b", "a:-1", "a:+1", "a:0", "a:65536", "a:99999999", "a:1:2", ":80", "a\tb", "a\x00", "\xe9"),
        *(
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[a]",
            "[::1]x",
            "[::1]:0",
            "[1.2.3.4]",
            "[v1.a]",
            "[::1%25eth0]",
            "<a>",
            "a" * 262,
        ),
    ],
)
def test_what_names_no_host_is_none(host: str) -> None:
    assert not is_host(host)


@pytest.mark.parametrize("version", ["1.2", "1.9"])
def test_a_later_minor_version_is_read_as_the_one_that_we_speak(version: str) -> None:
    # The version of an answer was the client's own: psf/gunicorn's parser takes every 1.x (RFC 9110, 2.5).
    assert read(PlainParser, COMMON.replace(b"1.1", version.encode()))[1]["version"] == (1, 1)


@pytest.mark.parametrize("sizes", [[MAX_BODY_BYTES + 1], [1, MAX_BODY_BYTES], [2**64 - 1], [16**400]])
def test_chunks_are_judged_by_what_they_announce(sizes: list[int]) -> None:
    head = POSTED.partition(b"\r\n\r\n")[0].replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")
    chunks = b"\r\n".join(b"%x\r\n%b" % (size, b"x" * size if size == 1 else b"") for size in sizes)
    request, said = read(PlainParser, head + b"\r\n\r\n" + chunks)
    assert said["body"].status == 413
    assert request.should_close()
