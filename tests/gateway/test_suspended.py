"""Requests that wait for a service without a thread: none is lost, and none keeps a place for nothing."""

import select
import socket
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from gateway.framing import MOST_INTERIM
from gateway.upstream import SUSPENDED, Answer, Request, Upstream, UpstreamBroken, UpstreamBusy, UpstreamTimeout
from gateway.wire import Http
from tests.gateway.upstreams import Conversation, Server, request, saying

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
THREADS = 4
ROOM = THREADS * SUSPENDED


class Asked:
    """A request that is forwarded as the worker would have it done."""

    def __init__(self, upstream: Upstream, sent: Request) -> None:
        self.awaited: list[tuple[int, float]] = []
        self.steps: Generator[bytes, None, Answer] = upstream.ask(sent, lambda *what: self.awaited.append(what))

    def step(self) -> Answer | None:
        """Go on with it; None: it waits."""
        try:
            assert next(self.steps) == b""
        except StopIteration as stop:
            answer: Answer = stop.value
            return answer
        return None

    def wait(self) -> None:
        number, moment = self.awaited[-1]
        poll = select.poll()
        poll.register(number, select.POLLIN)
        poll.poll(max(0.0, moment - time.monotonic()) * 1000 + 1)

    def answer(self) -> bytes:
        while (answer := self.step()) is None:
            self.wait()
        return b"".join(answer.body)


class Place:
    """An upstream before a server of this conversation."""

    def __init__(self, converse: Conversation) -> None:
        self.server = Server(converse)
        self.http = Http("echo", self.server.url)
        self.upstream = Upstream("echo", self.http)

    def ask(self, method: str = "GET", **fields: Any) -> Asked:
        return Asked(self.upstream, request(method, **fields))

    @property
    def state(self) -> tuple[int, int]:
        """How many more requests may be suspended, and how many connections are kept."""
        return self.upstream.suspended.free, self.http._idle.qsize()

    def close(self) -> None:
        self.http.close()
        self.server.close()


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Place]]:
    monkeypatch.setenv("WEB_THREADS", str(THREADS))
    made: list[Place] = []
    yield made
    for place in made:
        place.close()


def before(places: list[Place], converse: Conversation) -> Place:
    places.append(Place(converse))
    return places[-1]


def test_an_answer_is_had_and_its_connection_used_again(places: list[Place]) -> None:
    place = before(places, saying(GOOD))
    for _ in range(5):
        assert place.ask().answer() == b"ok"
        assert place.state == (ROOM, 1)
    assert len(place.server.connections) == 1


def test_waking_it_for_nothing_changes_nothing(places: list[Place]) -> None:
    go = threading.Event()

    def later(connection: socket.socket, _: bytes) -> None:
        go.wait(10)
        connection.sendall(GOOD)

    asked = before(places, later).ask()
    for _ in range(5):
        assert asked.step() is None
    assert len(set(asked.awaited)) == 1
    go.set()
    assert asked.answer() == b"ok"


def test_a_head_in_pieces_is_waited_for_piece_by_piece(places: list[Place]) -> None:
    pieces = [GOOD[start : start + 5] for start in range(0, len(GOOD), 5)]
    go = threading.Semaphore(0)

    def drip(connection: socket.socket, _: bytes) -> None:
        for piece in pieces:
            assert go.acquire(timeout=10)
            connection.sendall(piece)

    asked = before(places, drip).ask()
    assert asked.step() is None
    for _ in pieces[:4]:
        go.release()
        asked.wait()
        assert asked.step() is None
    for _ in pieces[4:]:
        go.release()
    assert asked.answer() == b"ok"


def test_who_is_not_waited_for_any_more_leaves_nothing_behind(
    places: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = before(places, lambda *_: None)
    connect, opened = place.http.connect, []

    def connecting(*args: Any) -> Any:
        opened.append(connect(*args))
        return opened[-1]

    monkeypatch.setattr(place.http, "connect", connecting)
    for _ in range(THREADS * 2):
        asked = place.ask()
        assert asked.step() is None
        assert place.state == (ROOM - 1, 0)
        assert opened[-1].sock.fileno() == asked.awaited[0][0]
        asked.steps.close()
        assert place.state == (ROOM, 0)
        assert opened[-1].sock.fileno() == -1


def test_a_time_that_is_over_gives_everything_back(places: list[Place]) -> None:
    place = before(places, lambda *_: None)
    for _ in range(THREADS * 2):
        with pytest.raises(UpstreamTimeout):
            place.ask(seconds=0.01).answer()
        assert place.state == (ROOM, 0)


@pytest.mark.parametrize("said", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_service_that_hangs_up_gives_everything_back(places: list[Place], said: bytes) -> None:
    def hang_up(connection: socket.socket, _: bytes) -> None:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_RDWR)

    place = before(places, hang_up)
    for _ in range(THREADS * 2):
        with pytest.raises(UpstreamBroken):
            place.ask().answer()
        assert place.state == (ROOM, 0)


def test_a_service_that_says_continue_for_ever_is_given_up(places: list[Place]) -> None:
    go = threading.Semaphore(0)

    def drip(connection: socket.socket, _: bytes) -> None:
        while go.acquire(timeout=10):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    place = before(places, drip)
    asked = place.ask()
    with pytest.raises(UpstreamBroken):
        for _ in range(MOST_INTERIM + 2):
            assert asked.step() is None
            go.release()
            asked.wait()
    assert place.state == (ROOM, 0)


@pytest.mark.parametrize(("method", "times"), [("GET", 3), ("PUT", 3), ("POST", 2)])
def test_only_what_is_safe_to_repeat_is_sent_again_after_a_kept_connection_died(
    places: list[Place], method: str, times: int
) -> None:
    answered: set[int] = set()

    def once(connection: socket.socket, _: bytes) -> None:
        if id(connection) in answered:
            connection.shutdown(socket.SHUT_RDWR)
        else:
            answered.add(id(connection))
            connection.sendall(GOOD)

    place = before(places, once)
    assert place.ask(method).answer() == b"ok"
    asked = place.ask(method)
    if method == "POST":
        with pytest.raises(UpstreamBroken):
            asked.answer()
    else:
        assert asked.answer() == b"ok"
        assert len({number for number, _ in asked.awaited}) <= 2
    assert len(place.server.requests) == times
    assert place.state[0] == ROOM


def test_a_slow_service_holds_so_many_and_leaves_the_others_alone(places: list[Place]) -> None:
    slow, other = before(places, lambda *_: None), before(places, saying(GOOD))
    held = [slow.ask(tenant=number) for number in range(ROOM)]
    for asked in held:
        assert asked.step() is None
    with pytest.raises(UpstreamBusy):
        slow.ask(tenant=ROOM).step()
    # Who asks without being suspended, for the pages of health for one, has places of its own.
    assert slow.upstream.threads.free == THREADS // 2
    assert other.ask().answer() == b"ok"
    held.pop().steps.close()
    assert slow.ask().step() is None
    for asked in held:
        asked.steps.close()
