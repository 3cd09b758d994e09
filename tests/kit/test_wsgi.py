"""The reader of common requests takes a part of what gunicorn takes, and says the same of it."""

from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.parser import Parser
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kit.gunicorn
from kit.wsgi import COMMON_BYTES, PlainParser, PlainRequest, fixed

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
    *("\x7f", "\xe9", "\u0663", "{}", "\x0b", "\x85"),
)


class Theirs(Request):
    """gunicorn's own, with the one rule of ours that is not about reading."""

    _peer_trusted_for_forwarded = PlainRequest._peer_trusted_for_forwarded


class Their(Parser):
    mesg_class = Theirs


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
    except (ParseException, OSError) as error:
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
