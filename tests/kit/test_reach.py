"""Addresses that take no connection share one timeout, so that a live one among them is still reached."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
import requests

from gateway.upstream import Request, UpstreamUnavailable
from gateway.wire import Http
from kit import reach
from kit.client import CONNECT_S, Timely
from tests.topologies import PATIENCE_S

NAME = "addresses.test"
DEAD = tuple(f"127.0.0.{number}" for number in range(2, 8))
LIVE = "127.0.0.8"


class Addresses:
    """The addresses of a name, of which all but LIVE drop what is sent to them, since their queues are full."""

    def __init__(self, stack: ExitStack) -> None:
        live = stack.enter_context(socket.create_server((LIVE, 0)))
        self.port: int = live.getsockname()[1]
        self.named: tuple[str, ...] = ()
        for address in DEAD:
            stack.enter_context(socket.create_server((address, self.port), backlog=0))
            for _ in range(3):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                with suppress(BlockingIOError):
                    client.connect((address, self.port))

    def resolve(self, *_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, self.port)) for address in self.named]

    def gateway(self) -> None:
        """Ask as the gateway does."""
        request = Request("GET", "/", [("Host", NAME)], b"", time.monotonic() + PATIENCE_S)
        with pytest.raises(UpstreamUnavailable):
            Http("customer", f"http://{NAME}:{self.port}").begin(request)

    def sibling(self) -> None:
        """Ask as a service does."""
        with requests.Session() as session, pytest.raises(requests.ConnectionError):
            session.trust_env = False
            session.mount("http://", Timely())
            session.get(f"http://{NAME}:{self.port}/", timeout=(CONNECT_S, PATIENCE_S))


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> Iterator[Addresses]:
    with ExitStack() as stack:
        made = Addresses(stack)
        monkeypatch.setattr(socket, "getaddrinfo", made.resolve)
        yield made


def seconds(ask: Callable[[], None]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


@pytest.mark.parametrize("way", [Addresses.gateway, Addresses.sibling])
def test_many_dead_addresses_take_no_longer_than_one(addresses: Addresses, way: Callable[[Addresses], None]) -> None:
    addresses.named = DEAD[:1]
    one = seconds(lambda: way(addresses))
    addresses.named = DEAD
    many = seconds(lambda: way(addresses))
    assert many < len(DEAD) / 2 * one


def test_a_live_address_behind_dead_ones_is_reached_within_the_timeout(addresses: Addresses) -> None:
    addresses.named = (LIVE, *DEAD)
    candidates = sorted(reach.addresses(NAME, addresses.port), key=lambda one: one[1][0] == LIVE)
    with reach.connect(candidates, CONNECT_S) as sock:
        assert sock.getpeername()[0] == LIVE
        assert 0 < (sock.gettimeout() or 0) < CONNECT_S
