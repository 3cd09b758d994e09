"""Replicas of a service come and go under load: a new one has its share, and one that stops costs nothing."""

import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kit import reach
from kit.client import Timely
from tests.gateway.replicas import CLIENTS, NAME, Load, Replicas, answerer
from tests.topologies import PATIENCE_S, eventually

ONE, TWO = "127.0.0.1", "127.0.0.2"
SHARE = 0.3
MANY = 1000


@pytest.fixture
def replicas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replicas]:
    made = Replicas(tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", made.resolve)
    try:
        made.start(ONE)
        yield made
    finally:
        made.end()


@pytest.fixture
def young(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that age in a second."""
    monkeypatch.setattr(reach, "LEAST_AGE_S", 0.5)
    monkeypatch.setattr(reach, "MOST_AGE_S", 1.0)


def is_shared(counts: Counter[str]) -> bool:
    return all(counts[address] >= SHARE * counts.total() for address in (ONE, TWO))


def test_a_replica_that_is_added_under_load_has_its_share(replicas: Replicas, young: None) -> None:
    with Load(replicas, "GET").running() as load:
        assert set(load.more(MANY)) == {ONE}
        replicas.start(TWO)
        eventually(lambda: is_shared(load.more(MANY)), "of so many answers each has its share")
    assert load.failed == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_replica_that_is_stopped_under_load_costs_no_request(replicas: Replicas, young: None, method: str) -> None:
    replicas.start(TWO)
    with Load(replicas, method).running() as load:
        eventually(lambda: load.answered[TWO] > MANY // 2, "both answer")
        replicas.processes[TWO].send_signal(signal.SIGTERM)
        eventually(lambda: replicas.processes[TWO].poll() is not None, "it has ended")
        assert set(load.more(MANY)) == {ONE}
    assert load.failed == []


def test_a_stopped_replica_refuses_while_it_still_answers(replicas: Replicas) -> None:
    with socket.create_connection((ONE, replicas.port), PATIENCE_S) as client:
        client.sendall(b"POST /things HTTP/1.1\r\nHost: a\r\nX-Request-Id: 0\r\nContent-Length: 2\r\n\r\n")
        replicas.processes[ONE].send_signal(signal.SIGTERM)
        eventually(lambda: replicas.refuses(ONE), "it refuses")
        client.sendall(b"ok")
        assert b"\r\nConnection: close\r\n" in client.recv(65536)


def test_a_replica_that_is_killed_costs_nothing_that_may_be_repeated(replicas: Replicas, young: None) -> None:
    replicas.start(TWO)
    with Load(replicas, "GET").running() as load:
        eventually(lambda: load.answered[TWO] > MANY // 4, "both answer")
        replicas.kill(TWO)
        load.more(MANY)
    assert load.failed == []


def test_a_replica_that_is_killed_costs_what_was_on_its_way_at_most(replicas: Replicas, young: None) -> None:
    replicas.start(TWO)
    with Load(replicas, "POST").running() as load:
        eventually(lambda: load.answered[TWO] > MANY // 4, "both answer")
        replicas.kill(TWO)
        load.more(MANY)
    assert len(load.failed) <= CLIENTS, load.failed


def test_an_address_that_refuses_is_passed_over(replicas: Replicas) -> None:
    replicas.addresses.insert(0, "127.0.0.3")
    for _ in range(4):
        reach.connect(reach.addresses(NAME, replicas.port), PATIENCE_S).close()


def test_siblings_share_their_requests_out_as_the_gateway_does(replicas: Replicas, young: None) -> None:
    replicas.start(TWO)
    url = f"http://{NAME}:{replicas.port}/things"
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", Timely(pool_maxsize=4))

        def ask() -> str:
            return answerer(session.get(url, headers={"X-Request-Id": "0"}, timeout=PATIENCE_S).content)

        first = ask()
        eventually(lambda: ask() != first, "the other one answers")
        eventually(lambda: ask() == first, "the first one answers again")


def test_a_kept_connection_between_siblings_is_used_again_until_it_has_aged(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    resolve = replicas.resolve
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **rest: opened.append(host) or resolve(host, *more))
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", Timely(pool_maxsize=4))
        for _ in range(5):
            session.get(f"http://{NAME}:{replicas.port}/things", headers={"X-Request-Id": "0"}, timeout=PATIENCE_S)
    assert opened == [NAME]
