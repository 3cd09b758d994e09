"""Forwarding over HTTP: byte for byte to good services, and a named error within the deadline from bad ones."""

import socket
import threading

import pytest

from gateway.upstream import (
    Answer,
    InProcess,
    Upstream,
    UpstreamBroken,
    UpstreamBusy,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.wire import CONNECT_S, Http
from kit import transport
from tests.gateway.upstreams import request, saying, serving

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def text(answer: Answer) -> bytes:
    return b"".join(answer.body)


@pytest.mark.parametrize("target", ["/a?x=1&x=2&y=", "/a?q=%zz&r=%2f", '/a?x="<>{}|^`', "/a/?", "/a?b=1?c=2"])
def test_the_target_arrives_byte_for_byte(target: str) -> None:
    with serving(saying(GOOD)) as (server, http):
        assert text(http.send(request(target=target))) == b"ok"
        assert server.requests[0].startswith(f"GET {target} HTTP/1.1\r\n".encode())


def test_a_body_goes_out_with_one_length_and_no_transfer_encoding() -> None:
    with serving(saying(GOOD)) as (server, http):
        text(http.send(request("POST", body=b"hello", headers=[("Host", "echo")])))
        head = server.requests[0].lower()
        assert head.count(b"content-length: 5") == 1
        assert b"transfer-encoding" not in head
        assert head.count(b"host:") == 1
        assert head.endswith(b"hello")


def test_connections_are_kept_and_used_again() -> None:
    with serving(saying(GOOD)) as (server, http):
        for _ in range(5):
            text(http.send(request()))
        assert len(server.connections) == 1


def test_a_redirect_comes_back_and_is_not_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n"
    with serving(saying(answer)) as (server, http):
        received = http.send(request())
        assert (received.status, text(received)) == (302, b"")
        assert len(server.requests) == 1


def test_cookies_of_one_answer_are_not_sent_with_the_next_request() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=secret\r\nContent-Length: 0\r\n\r\n"
    with serving(saying(answer)) as (server, http):
        text(http.send(request()))
        text(http.send(request()))
        assert b"secret" not in server.requests[1]


def test_an_encoded_body_is_passed_on_as_it_is() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x00\x00"
    with serving(saying(answer)) as (_, http):
        received = http.send(request())
        assert text(received) == b"\x1f\x8b\x00\x00"
        assert ("Content-Encoding", "gzip") in received.headers


def test_a_service_that_is_not_there_is_unavailable_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UpstreamUnavailable) as caught:
        Http("echo", url).send(request())
    assert caught.value.extra["upstream"] == "echo"
    assert caught.value.headers["Retry-After"] == "1"


def test_a_service_that_never_answers_is_given_up_at_the_deadline() -> None:
    with serving(lambda *_: None) as (_, http), pytest.raises(UpstreamTimeout):
        http.send(request(seconds=0.05))


def test_a_service_that_drips_is_given_up_at_the_deadline() -> None:
    gone = threading.Event()

    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not gone.wait(0.01):
            connection.sendall(b"x")

    with serving(drip) as (_, http):
        answer = http.send(request(seconds=0.2))
        with pytest.raises(UpstreamTimeout):
            text(answer)
        gone.set()


def test_a_service_may_take_longer_than_a_connection_may() -> None:
    def slow(connection: socket.socket, _: bytes) -> None:
        threading.Event().wait(CONNECT_S + 0.2)
        connection.sendall(GOOD)

    with serving(slow) as (_, http):
        assert text(http.send(request())) == b"ok"


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"])
def test_no_drip_begins_the_deadline_anew(start: bytes) -> None:
    gone = threading.Event()

    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        while not gone.wait(0.02):
            connection.sendall(b"H")

    with serving(drip) as (_, http):
        with pytest.raises(UpstreamTimeout):
            text(http.send(request(seconds=0.3)))
        gone.set()


@pytest.mark.parametrize(
    "answer",
    [b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000 + b"\r\n"],
    ids=["garbage", "no status", "a megabyte of headers"],
)
def test_an_answer_that_is_not_http_is_a_bad_gateway(answer: bytes) -> None:
    with serving(saying(answer)) as (_, http), pytest.raises(UpstreamBroken):
        http.send(request("POST"))


def test_a_body_that_breaks_off_is_never_a_whole_one() -> None:
    def half(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_RDWR)

    with serving(half) as (_, http):
        answer = http.send(request())
        with pytest.raises(UpstreamBroken):
            text(answer)


def once_then_close() -> tuple[list[int], object]:
    """A conversation that answers a connection's first request and hangs up on its second."""
    seen: dict[int, int] = {}
    hung_up: list[int] = []

    def converse(connection: socket.socket, _: bytes) -> None:
        seen[id(connection)] = seen.get(id(connection), 0) + 1
        if seen[id(connection)] == 1:
            connection.sendall(GOOD)
        else:
            hung_up.append(1)
            connection.shutdown(socket.SHUT_RDWR)

    return hung_up, converse


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_safe_to_repeat_is_sent_again_after_a_kept_connection_died(method: str) -> None:
    hung_up, converse = once_then_close()
    with serving(converse) as (server, http):  # type: ignore[arg-type]
        text(http.send(request(method)))
        assert text(http.send(request(method))) == b"ok"
        assert (len(hung_up), len(server.requests)) == (1, 3)


def test_a_post_is_never_sent_twice() -> None:
    _, converse = once_then_close()
    with serving(converse) as (server, http):  # type: ignore[arg-type]
        text(http.send(request("POST")))
        with pytest.raises(UpstreamBroken):
            http.send(request("POST"))
        assert len(server.requests) == 2


def test_a_stuck_service_holds_half_of_the_threads_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_THREADS", "4")
    release, entered = threading.Event(), threading.Semaphore(0)

    def stuck(env: object, start_response: object) -> list[bytes]:
        entered.release()
        release.wait(10)
        start_response("200 OK", [])  # type: ignore[operator]
        return [b"late"]

    transport_before = transport.mounted("stuck")
    assert transport_before is None
    transport.mount("stuck", stuck)
    upstream = Upstream("stuck", InProcess("stuck"))
    try:
        asked = [request(tenant=number) for number in range(2)]
        threads = [threading.Thread(target=lambda one=one: text(upstream.send(one))) for one in asked]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert entered.acquire(timeout=10)
        with pytest.raises(UpstreamBusy):
            upstream.send(request())
        release.set()
        for thread in threads:
            thread.join(10)
        assert text(upstream.send(request())) == b"late"
    finally:
        release.set()
        transport._mounted.pop("stuck")


def test_a_place_is_given_back_when_nobody_reads_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_THREADS", "2")
    with serving(saying(GOOD)) as (server, _):
        upstream = Upstream("echo", Http("echo", server.url))
        for is_read in (True, False, True, False):
            answer = upstream.send(request())
            if is_read:
                next(answer.body)
            answer.body.close()
            answer.body.close()


def test_what_the_gateway_asks_for_itself_is_whole_http() -> None:
    with serving(saying(GOOD)) as (server, http):
        assert text(Upstream("echo", http).get("/ready", 5.0)) == b"ok"
        assert server.requests[0].split(b"\r\n")[:2] == [b"GET /ready HTTP/1.1", b"Host: echo"]
