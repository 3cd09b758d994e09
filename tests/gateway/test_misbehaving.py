"""What a client gets when the service behind the gateway misbehaves: a named error in time, never half of an answer."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway import routes
from gateway.proxy import Proxy
from gateway.upstream import Upstream
from gateway.wire import Http
from kit import deadline
from tests.api import Api
from tests.gateway.upstreams import Conversation, Server, saying

TABLE = (
    routes.Door("echo", ("/api",), "GET /things open\nPOST /things open\nHEAD /heads open"),
    routes.Door("other", ("/api",), "GET /others open"),
)
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
THREADS = 4

Start = Callable[[Conversation], tuple[Server, Api]]


def hang_up(connection: socket.socket, _: bytes) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def said(head: str, body: bytes = b"") -> Conversation:
    """An answer after which the connection is closed."""

    def converse(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_RDWR)

    return converse


@pytest.fixture
def before(platform: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Puts a gateway before a service with this conversation; `/api/others` always answers."""
    monkeypatch.setenv("WEB_THREADS", str(THREADS))
    servers: list[Server] = []
    kept: list[Http] = []

    def start(converse: Conversation) -> tuple[Server, Api]:
        servers[:] = [Server(converse), Server(saying(GOOD))]
        for name, server in zip(("ECHO", "OTHER"), servers, strict=True):
            monkeypatch.setenv(f"{name}_SERVICE_URL", server.url)
        proxy = Proxy(platform.proxy.authenticator, TABLE)
        kept.extend(up.transport for up in proxy.upstreams.values() if isinstance(up.transport, Http))
        return servers[0], Api(lambda environ, start_response: proxy(environ, start_response) or [b""])

    yield start
    for opened in (*kept, *servers):
        opened.close()


def places(api: Api) -> int:
    """How many more requests would be let through to the misbehaving service at this moment."""
    proxy = api.target.__closure__[0].cell_contents
    upstream: Upstream = proxy.upstreams["echo"]
    return upstream.threads.free


def idle(api: Api) -> int:
    proxy = api.target.__closure__[0].cell_contents
    assert isinstance(proxy.upstreams["echo"].transport, Http)
    return int(proxy.upstreams["echo"].transport._idle.qsize())


def test_a_service_that_is_down_is_named(before: Start) -> None:
    server, api = before(saying(GOOD))
    server.listener.close()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = api.target.__closure__[0].cell_contents
    proxy.upstreams["echo"].transport._port = port
    answer = api.get("/api/things")
    assert answer.problem(503, "upstream_unavailable")["upstream"] == "echo"
    assert answer.headers["Retry-After"] == "1"
    assert places(api) == THREADS // 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_service_that_hangs_up_is_a_bad_gateway_and_is_asked_once(before: Start, method: str) -> None:
    server, api = before(hang_up)
    assert api.request(method, "/api/things").problem(502, "upstream_broken")["upstream"] == "echo"
    assert len(server.requests) == 1
    assert places(api) == THREADS // 2


def test_a_service_that_says_nothing_is_given_up_in_time(before: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "BUDGET_MS", 100)
    _, api = before(lambda *_: None)
    assert api.get("/api/things").problem(504, "upstream_timeout")["upstream"] == "echo"
    assert places(api) == THREADS // 2


BROKEN = {
    "garbage": said("nonsense"),
    "no status": said("HTTP/1.1 abc OK"),
    "status 42": said("HTTP/1.1 042 Low\nContent-Length: 0"),
    "status 700": said("HTTP/1.1 700 High\nContent-Length: 0"),
    "switching protocols": said("HTTP/1.1 101 Switching Protocols\nUpgrade: h2c\nConnection: upgrade"),
    "a megabyte of headers": said("HTTP/1.1 200 OK" + "\nX: " + "y" * 1_000_000),
    "many headers": said("HTTP/1.1 200 OK" + "\nX: y" * 200),
    "a header with NUL": said("HTTP/1.1 200 OK\nX: a\x00b\nContent-Length: 2", b"ok"),
    "two lengths": said("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 5", b"ok"),
    "a list of lengths": said("HTTP/1.1 200 OK\nContent-Length: 2, 2", b"ok"),
    "a negative length": said("HTTP/1.1 200 OK\nContent-Length: -2", b"ok"),
    "a length with a sign": said("HTTP/1.1 200 OK\nContent-Length: +2", b"ok"),
    "an unknown coding": said("HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked", b"2\r\nok\r\n0\r\n\r\n"),
    "a short body": said("HTTP/1.1 200 OK\nContent-Length: 10", b"half"),
    "a bad chunk": said("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"zz\r\nok\r\n"),
    "no chunk": said("HTTP/1.1 200 OK\nTransfer-Encoding: chunked"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_cannot_be_used_is_a_bad_gateway(before: Start, name: str) -> None:
    server, api = before(BROKEN[name])
    api.get("/api/things").problem(502, "upstream_broken")
    assert len(server.requests) == 1
    assert (places(api), idle(api)) == (THREADS // 2, 0)


def test_chunks_win_over_a_length_that_contradicts_them(before: Start) -> None:
    head = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 1"
    _, api = before(said(head, b"2\r\nok\r\n0\r\n\r\n"))
    answer = api.get("/api/things")
    assert (answer.ok(), answer.headers.get("Content-Length")) == ("ok", None)


def test_a_long_body_that_breaks_off_ends_in_an_error_and_not_in_silence(before: Start) -> None:
    _, api = before(said("HTTP/1.1 200 OK\nContent-Length: 1000000", b"x" * 1000))
    with pytest.raises(Exception, match="cannot be used"):
        api.get("/api/things")
    assert (places(api), idle(api)) == (THREADS // 2, 0)


def wsgi(target: Any, path: str) -> Any:
    """The iterable that a server would get, before it has read anything."""
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": path, "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.0"}
    return target(environ, lambda status, headers: None)


@pytest.mark.parametrize("pieces", [0, 1])
def test_a_client_that_goes_away_gives_its_place_back(before: Start, pieces: int) -> None:
    _, api = before(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000))
    for _ in range(THREADS):
        body = wsgi(api.target, "/api/things")
        assert places(api) == THREADS // 2 - 1
        for _ in zip(range(pieces), body, strict=False):
            pass
        body.close()
        assert (places(api), idle(api)) == (THREADS // 2, 0)


def test_a_small_answer_holds_nothing_while_its_client_reads(before: Start) -> None:
    _, api = before(saying(GOOD))
    body = wsgi(api.target, "/api/things")
    assert (places(api), idle(api)) == (THREADS // 2, 1)
    assert b"".join(body) == b"ok"
    body.close()


def test_a_stuck_service_is_busy_and_leaves_the_others_alone(before: Start) -> None:
    entered, release = threading.Semaphore(0), threading.Event()

    def stuck(connection: socket.socket, _: bytes) -> None:
        entered.release()
        release.wait(10)
        connection.sendall(GOOD)

    _, api = before(stuck)
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(api.get("/api/things").status))]
    for thread in threads:
        thread.start()
        assert entered.acquire(timeout=10)
    busy = api.get("/api/things")  # the other place is kept for somebody else
    assert busy.problem(503, "upstream_busy")["upstream"] == "echo"
    assert busy.headers["Retry-After"] == "1"
    assert api.get("/api/others").status == 200
    release.set()
    for thread in threads:
        thread.join(10)
    assert results == [200] * len(threads)
    assert places(api) == THREADS // 2
