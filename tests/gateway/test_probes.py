"""Raw bytes to the gateway in every topology: each refusal is ours, and what passes arrives as it was routed."""

import json
import re
import secrets
import socket
from collections.abc import Iterator

import pytest

from kit import tokens
from tests.api import new_person
from tests.gateway.probes import PASSING, REFUSED, Probe, get, post
from tests.gateway.raw import Reply, exchange, parse
from tests.gateway.stack import Stack, stack
from tests.topologies import Running

NORMAL = get("/api/customers")


@pytest.fixture(scope="session", params=["over_http", "mounted"])
def echo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway before a service that answers with what it received."""
    with stack(request.param, tmp_path_factory.mktemp(request.param)) as built:
        yield built


@pytest.fixture(scope="session", params=["solo", "split"])
def real(request: pytest.FixtureRequest) -> tuple[Running, bytes]:
    """A real platform, and an Authorization line that it believes."""
    platform: Running = request.getfixturevalue(request.param)
    return platform, f"Authorization: Bearer {new_person(platform.url).token}\r\n".encode()


def filled(probe: Probe, authorization: bytes) -> bytes:
    return probe.sent.replace(b"{auth}", authorization)


def method_of(probe: Probe) -> str:
    return "HEAD" if b"HEAD " in probe.sent[:7] else "GET"


def check_refusal(replies: list[Reply], probe: Probe) -> None:
    """One answer, a problem document; then the connection is either in order or closed."""
    assert replies, "the connection was closed without an answer"
    assert replies[0].status in probe.statuses, replies[0]
    for reply in replies:
        assert 400 <= reply.status < 500 or reply.status == 501, reply
        reply.check_problem()


@pytest.mark.parametrize("probe", REFUSED, ids=lambda probe: probe.name)
def test_an_odd_request_is_refused_and_reaches_no_service(echo: Stack, probe: Probe) -> None:
    mark = secrets.token_hex(8)
    marked = echo.authorization + f"X-Request-Id: {mark}\r\n".encode()
    check_refusal(exchange(echo.port, filled(probe, marked)), probe)
    assert not any(mark in line for line in echo.seen())


@pytest.mark.parametrize("probe", REFUSED, ids=lambda probe: probe.name)
def test_an_odd_request_is_refused_by_the_real_platform(real: tuple[Running, bytes], probe: Probe) -> None:
    platform, authorization = real
    check_refusal(exchange(platform.ports["gateway"], filled(probe, authorization)), probe)


@pytest.mark.parametrize("probe", REFUSED, ids=lambda probe: probe.name)
def test_a_service_by_itself_opens_nothing_and_breaks_at_nothing(split: Running, probe: Probe) -> None:
    bare = filled(probe, b"").replace(b"/api/", b"/")
    for reply in exchange(split.ports["customer"], bare):
        assert reply.status < 500 or reply.status == 501, reply
        if reply.status >= 400:
            reply.check_problem()
        else:  # which methods there are, or the address without its second slash
            assert (reply.status, reply.body) == (200, b"") or reply.status == 308, reply


@pytest.mark.parametrize("probe", PASSING, ids=lambda probe: probe.name)
def test_what_passes_arrives_as_it_was_routed(echo: Stack, probe: Probe) -> None:
    replies = exchange(echo.port, filled(probe, echo.authorization), method=method_of(probe))
    assert [reply.status for reply in replies] == [200]
    if method_of(probe) == "HEAD":
        return
    got = replies[0].json
    target = re.search(rb"/api(\S+)", probe.sent)
    assert target and got["RAW_URI"] == target[1].decode()
    assert (got["HTTP_X_USER_ID"], got["HTTP_X_TENANT_ID"]) == (echo.user_id, echo.tenant_id)
    claims = tokens.Keyring(echo.home / "keys").verify(got["HTTP_TXN_TOKEN"], tokens.INTERNAL)
    assert (claims["uid"], claims["tid"]) == (echo.user_id, echo.tenant_id)
    assert got["HTTP_HOST"] == "customer"
    assert got["SCRIPT_NAME"] == ""
    allowed = {"HOST", "X_USER_ID", "X_TENANT_ID", "TXN_TOKEN", "X_FORWARDED_FOR", "X_REQUEST_ID", "TRACEPARENT"}
    allowed |= {"X_REQUEST_DEADLINE_MS", "USER_AGENT", "ACCEPT_ENCODING"}
    assert {name[5:] for name in got if name.startswith("HTTP_")} <= allowed
    assert got.get("HTTP_ACCEPT_ENCODING", "identity") == "identity"


@pytest.mark.parametrize("probe", PASSING, ids=lambda probe: probe.name)
def test_what_passes_is_answered_by_the_real_platform(real: tuple[Running, bytes], probe: Probe) -> None:
    platform, authorization = real
    replies = exchange(platform.ports["gateway"], filled(probe, authorization), method=method_of(probe))
    assert [reply.status for reply in replies] == [200]


@pytest.mark.parametrize(
    "query", ["a=1&a=2&b=", "q=%2e%2e%2f", "q=%zz", "a=1?b=2", "x=[]{}|^`\"<>'", "a;b;c", "&&", "filter[tags][in]=a,b"]
)
def test_a_query_arrives_byte_for_byte(echo: Stack, query: str) -> None:
    (reply,) = exchange(echo.port, get(f"/api/customers?{query}").replace(b"{auth}", echo.authorization))
    assert (reply.json["RAW_URI"], reply.json["QUERY_STRING"]) == (f"/customers?{query}", query)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Content-Length: 5\r\n", b"hello"),
        (b"Transfer-Encoding: chunked\r\n", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: Chunked\r\n", b"5\r\nhello\r\n0\r\nX-Trailer: z\r\n\r\n"),
        (b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"hello"),
    ],
)
def test_a_body_arrives_with_one_length_however_it_came(echo: Stack, headers: bytes, body: bytes) -> None:
    sent = post(headers, body).replace(b"{auth}", echo.authorization)
    (reply,) = exchange(echo.port, sent)
    assert (reply.json["body"], reply.json["CONTENT_LENGTH"]) == ("hello", "5")
    assert not {"HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_TRAILER", "HTTP_X_TRAILER"} & set(reply.json)


def test_pipelined_requests_are_answered_in_order_and_apart(echo: Stack) -> None:
    first = post(b"Content-Length: 3\r\n", b"one")
    second = post(b"Transfer-Encoding: chunked\r\n", b"3\r\ntwo\r\n0\r\n\r\n")
    sent = (first + second + NORMAL).replace(b"{auth}", echo.authorization)
    replies = exchange(echo.port, sent)
    assert [reply.json["body"] for reply in replies] == ["one", "two", ""]


def test_a_body_is_never_taken_for_a_request(echo: Stack) -> None:
    inner = get("/api/customers/smuggled").replace(b"{auth}", echo.authorization)
    for headers in (b"Content-Length: %d\r\n" % len(inner), b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"):
        exchange(echo.port, post(headers, inner).replace(b"{auth}", echo.authorization))
        exchange(echo.port, get("/api/nothing", headers).replace(b"{auth}", echo.authorization) + inner)
    assert not any("smuggled" in line for line in echo.seen())


def test_after_a_refusal_a_kept_connection_serves_the_next_request(echo: Stack) -> None:
    sent = (get("/api/customers/%2e%2e") + get("/api/nothing") + NORMAL).replace(b"{auth}", echo.authorization)
    assert [reply.status for reply in exchange(echo.port, sent)] == [400, 404, 200]


def ask(echo: Stack, path: str, method: bytes = b"GET") -> Reply:
    (reply,) = exchange(echo.port, get(path, method=method).replace(b"{auth}", b""), method=method.decode())
    return reply


def test_a_redirect_is_passed_back_in_the_clients_words(echo: Stack) -> None:
    assert ask(echo, "/api/answers/redirect").values("Location") == ["/api/customers/1"]
    assert ask(echo, "/customer/answers/redirect").values("Location") == ["/customer/customers/1"]
    assert ask(echo, "/api/answers/away").values("Location") == ["http://127.0.0.1:1/x"]


def test_cookies_pass_only_from_the_door_with_credentials(echo: Stack) -> None:
    assert ask(echo, "/api/answers/cookie").values("Set-Cookie") == []
    assert ask(echo, "/auth/answers/cookie").values("Set-Cookie") == ["a=1", "b=2"]


def test_an_answer_keeps_its_encoding_and_loses_what_is_internal(echo: Stack) -> None:
    packed = ask(echo, "/api/answers/gzip")
    assert (packed.body, packed.values("Content-Encoding")) == (b"\x1f\x8b\x08\x00", ["gzip"])
    inside = ask(echo, "/api/answers/internal")
    assert not inside.values("X-Internal-Note") + inside.values("X-Powered-By")
    assert len(inside.values("Date")) == len(inside.values("Server")) == len(inside.values("X-Request-Id")) == 1


def test_answers_without_a_body_have_none(echo: Stack) -> None:
    assert ask(echo, "/api/answers/no-content").status == 204
    assert ask(echo, "/api/answers/not-modified").status == 304
    head = ask(echo, "/api/answers/large", method=b"HEAD")
    assert (head.status, head.body, head.values("Content-Length")) == (200, b"", ["3000000"])
    assert ask(echo, "/api/answers/odd-status").status == 299


def test_a_large_answer_arrives_whole(echo: Stack) -> None:
    large = ask(echo, "/api/answers/large")
    assert large.whole
    assert len(large.body) == 3_000_000


def test_an_answer_that_breaks_off_is_not_mistaken_for_a_whole_one(echo: Stack) -> None:
    broken = ask(echo, "/api/answers/break")
    assert not broken.whole or broken.status == 502


def test_a_stream_passes_piece_by_piece(echo: Stack) -> None:
    with socket.create_connection(("127.0.0.1", echo.port), timeout=30) as client:
        client.sendall(get("/api/answers/stream", b"Connection: close\r\n").replace(b"{auth}", b""))
        received = b""
        while b"first." not in received:
            received += client.recv(65536)
        assert b"second." not in received
        ask(echo, "/api/answers/release")
        while more := client.recv(65536):
            received += more
    (reply,) = parse(received)
    assert reply.body == b"first.second."


def test_the_gateways_own_pages_are_no_way_around_the_rules(echo: Stack) -> None:
    for target in ("/live", "/ready", "/health"):
        assert ask(echo, target).status == 200
    for target in ("/live%2f", "//live", "/x/../live"):
        ask(echo, target).check_problem()
    assert json.loads(ask(echo, "/live").body)["service"] == "gateway"
