"""What a service answers, byte for byte on the wire: it passes back as it was, without what is internal."""

import json
import socket

from tests.gateway.raw import Reply, exchange, parse
from tests.gateway.stack import Stack
from tests.security.probes import get


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
