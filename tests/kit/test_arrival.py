"""Requests that arrive slowly are gathered without a thread, and within a budget."""

import socket
from collections.abc import Iterator

import pytest

from kit import arrival
from kit.arrival import Arrival
from kit.exchange import Connection
from kit.patience import Shares
from kit.worker import Worker
from tests.gateway.raw import parse
from tests.kit.served import CLOSE, THREADS, Served, body, everything, serving
from tests.kit.test_worker import pair, worker

__all__ = ["pair", "worker"]

SLOW = 50
HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
STARTS = {
    "no body": HEAD + b"Content-Length: 100\r\n\r\n",
    "half a body": HEAD + b"Content-Length: 100\r\n\r\nabc",
    "an expectation": HEAD + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n",
    "half a head": HEAD + b"Content-Le",
    "no chunk": CHUNKED,
    "half a chunk": CHUNKED + b"5\r\nab",
    "no last chunk": CHUNKED + b"2\r\nab\r\n",
    "no trailers": CHUNKED + b"2\r\nab\r\n0\r\nX-A: b\r\n",
}


@pytest.fixture(scope="module", params=["speaking", "silent"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A worker with patience for a minute: what it answers sooner, it did not wait for."""
    folder = tmp_path_factory.mktemp(request.param)
    with serving(folder, "epoll", request.param, SLOW_CLIENT_SECONDS="60") as running:
        yield running


@pytest.mark.parametrize("start", STARTS)
def test_slow_requests_of_an_address_leave_its_other_requests_alone(served: Served, start: str) -> None:
    slow = [served.connect() for _ in range(SLOW)]
    for client in slow:
        client.sendall(STARTS[start])
    for number in range(THREADS * 4):
        with served.connect() as client:
            client.sendall(HEAD + b"Content-Length: 4\r\nConnection: close\r\n\r\n")
            client.sendall(b"%04d" % number)
            assert body(client) == b"%04d" % number
    for client in slow:
        client.close()


def test_requests_that_arrive_together_and_slowly_are_all_answered(served: Served) -> None:
    clients = [served.connect() for _ in range(SLOW)]
    rest = [HEAD, b"Content-Length: 9\r\nConnec", b"tion: close\r\n\r\n", b"abc", b"def", b"ghi"]
    for piece in rest:
        for client in clients:
            client.sendall(piece)
    assert [body(client) for client in clients] == [b"abcdefghi"] * SLOW


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_chunked_body_is_gathered_however_it_is_cut(served: Served, size: int) -> None:
    sent = CHUNKED + b"2;a=b\r\nhe\r\n0003\r\nllo\r\n0\r\nX-Trailer: z\r\n\r\n"
    with served.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(0, len(sent), size):
            client.sendall(sent[place : place + size])
        assert body(client) == b"hello"


def test_a_client_that_waits_for_100_gets_it_before_it_sends(served: Served) -> None:
    with served.connect() as client:
        client.sendall(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"ok")
        assert body(client) == b"ok"


def test_a_large_body_is_gathered_while_others_are_answered(served: Served) -> None:
    whole = b"x" * (10 * 1024 * 1024)
    with served.connect() as client:
        client.sendall(HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(whole))
        half = len(whole) // 2
        client.sendall(whole[:half])
        assert served.ask("/echo") == b""
        client.sendall(whole[half:])
        assert body(client) == whole


def test_a_connection_is_kept_after_a_body_that_came_in_parts(served: Served) -> None:
    with served.connect() as client:
        for _ in range(3):
            client.sendall(HEAD + b"Content-Length: 2\r\n\r\n")
            client.sendall(b"ab")
            assert client.recv(1000).endswith(b"\r\n\r\nab")
        client.sendall(HEAD + b"Content-Length: 1\r\n" + CLOSE.encode() + b"\r\nz")
        (reply,) = parse(everything(client))
        assert reply.body == b"z"


def gathering(worker: Worker, ours: socket.socket) -> Arrival:
    connection = Connection(worker.plain, ours, ("192.0.2.1", 1), ("here", 1))
    connection.sock.begin(True)
    return Arrival(connection.sock, connection.parser.unreader)


def test_what_is_gathered_is_counted_until_the_request_is_read(
    worker: Worker, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    one = gathering(worker, ours)
    theirs.sendall(b"POST / HTTP/1.1\r\n")
    assert not one.has_head()
    assert Arrival._gathered._held["192.0.2.1"] >= arrival.LEAST_BYTES
    theirs.sendall(b"Host: x\r\n\r\n")
    assert one.has_head()
    one.end()
    assert "192.0.2.1" not in Arrival._gathered._held


def test_an_address_gathers_half_of_the_budget_at_most(
    worker: Worker, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    monkeypatch.setattr(arrival, "GATHERED_BYTES", 4 * arrival.LEAST_BYTES)
    first, second = gathering(worker, ours), gathering(worker, ours)
    theirs.sendall(b"x" * 100)
    assert not first.has_head()  # it waits
    assert second.has_head()  # it goes on as it is, to be waited for in a thread
    assert (bool(first.counted), bool(second.counted)) == (True, False)
    first.end()
    assert not Arrival._gathered._held


def test_all_addresses_together_gather_no_more_than_the_budget() -> None:
    shares = Shares()
    assert [shares.take(f"192.0.2.{number}", 10, 4) for number in range(4)] == [True, True, False, False]
    shares.give("192.0.2.0", 4)
    assert shares.take("192.0.2.3", 10, 4)
    assert set(shares._held) == {"192.0.2.1", "192.0.2.3"}
