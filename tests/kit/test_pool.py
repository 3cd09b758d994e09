"""A pool opens a connection or waits for one that it has, and all pools of a process share a budget."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kit import pool as pools
from kit.pool import Budget, Pool
from tests.topologies import eventually

PATIENCE_S = 20.0
FOREVER = time.monotonic() + 1e9
SERVICES = 25
THREADS = 16

Make = Callable[..., Pool]


class Connection:
    """As much of a DB-API connection (PEP 249) as a pool asks for."""

    def __init__(self, server: "Server") -> None:
        self.server = server

    def rollback(self) -> None:
        """Nothing was begun."""

    def close(self) -> None:
        self.server.count(-1)


class Server:
    """Opens connections, and counts them."""

    def __init__(self) -> None:
        self.made = self.open = self.most = 0
        self.lock = threading.Lock()

    def connect(self) -> Connection:
        self.count(1)
        return Connection(self)

    def count(self, more: int) -> None:
        with self.lock:
            self.open += more
            self.made += max(more, 0)
            self.most = max(self.most, self.open)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def budget() -> Budget:
    return Budget()


@pytest.fixture
def make(server: Server, budget: Budget) -> Iterator[Make]:
    """Makes pools of one budget, for a service each."""
    made = []

    def pool(name: str = "customer", creator: Any = server.connect, **options: Any) -> Pool:
        made.append(Pool(creator, logging_name=name, budget=budget, **{"timeout": PATIENCE_S, **options}))
        return made[-1]

    yield pool
    for each in made:
        each.dispose()


# --- One pool --------------------------------------------------------------------------------------------------------


def test_a_usual_connection_that_is_soon_back_is_waited_for(
    make: Make, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "MOMENT_S", PATIENCE_S)
    pool = make(usual_size=1)
    held = pool.connect()
    kept = held.dbapi_connection
    with ThreadPoolExecutor(1) as other:
        asking = other.submit(pool.connect)
        held.close()
        assert asking.result(PATIENCE_S).dbapi_connection is kept
    assert server.made == 1


def test_behind_one_that_stays_away_another_is_opened_after_a_moment(make: Make, server: Server) -> None:
    pool = make(usual_size=1)
    held = pool.connect()
    another = pool.connect()
    assert another.dbapi_connection is not held.dbapi_connection
    assert server.made == 2


def test_the_usual_connections_are_opened_without_waiting(
    make: Make, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "MOMENT_S", 1e6)
    pool = make(usual_size=3)
    held = [pool.connect() for _ in range(3)]
    assert len({id(each.dbapi_connection) for each in held}) == server.made == 3


def test_a_connection_is_used_again_and_the_latest_first(make: Make, server: Server) -> None:
    pool = make()
    first, second = pool.connect(), pool.connect()
    latest = second.dbapi_connection
    first.close()
    second.close()
    assert pool.connect().dbapi_connection is latest
    assert server.made == 2


def test_a_connection_that_cannot_be_opened_takes_no_place(make: Make, server: Server, budget: Budget) -> None:
    def refuse() -> None:
        raise OSError("no such server")

    pool = make(creator=refuse)
    for _ in range(THREADS * 3):
        with pytest.raises(OSError, match="no such server"):
            pool.connect()
    assert budget.open == 0


def test_a_connection_that_was_invalidated_leaves_its_place(make: Make, server: Server, budget: Budget) -> None:
    pool = make()
    for _ in range(THREADS * 3):
        held = pool.connect()
        held.invalidate()
        held.close()
    assert (server.open, budget.open) == (0, 0)


def test_what_is_idle_for_long_is_closed_and_what_is_used_is_not(make: Make, server: Server, budget: Budget) -> None:
    pool = make()
    used, idle = pool.connect(), pool.connect()
    idle.close()
    budget.close_idle(since=0.0)
    assert server.open == 2
    budget.close_idle(since=FOREVER)
    assert (server.open, budget.open) == (1, 1)
    used.close()
    assert server.open == 1


def test_idle_connections_are_closed_without_anybody_asking(server: Server) -> None:
    pool = Pool(server.connect, logging_name="customer", budget=Budget(idle_s=0.1))
    for _ in range(2):  # its thread ends with the last connection, and begins with the next
        pool.connect().close()
        eventually(lambda: server.open == 0, "the idle connection is closed")


def test_a_pool_that_was_disposed_of_closes_what_comes_back(make: Make, server: Server, budget: Budget) -> None:
    pool = make()
    held = pool.connect()
    pool.connect().close()
    pool.dispose()
    assert server.open == 1
    held.close()
    assert (server.open, budget.open) == (0, 0)
    pool.recreate().connect().close()
    assert budget.open == 1


# --- Many pools ------------------------------------------------------------------------------------------------------


def test_room_is_made_by_closing_what_another_service_leaves_idle(make: Make, server: Server, budget: Budget) -> None:
    one, two, three = (make(name, connections=2) for name in ("auth", "tenant", "customer"))
    one.connect().close()
    two.connect().close()
    held = three.connect()
    assert (server.most, len(one.idle), len(two.idle)) == (2, 0, 1)
    held.close()


def test_where_all_are_in_use_the_wait_has_an_end_and_leaves_nothing_behind(make: Make, server: Server) -> None:
    one, other = make("auth", connections=2), make("tenant", connections=2, timeout=0.05)
    held = one.connect()
    with ThreadPoolExecutor(1) as thread:  # another one than ours, which may have a second
        with pytest.raises(PoolTimeout, match="No connection of tenant"):
            thread.submit(other.connect).result(PATIENCE_S)
        held.close()
        thread.submit(lambda: other.connect().close()).result(PATIENCE_S)
    assert server.most <= 2


def test_a_service_alone_has_its_whole_budget(make: Make, server: Server) -> None:
    pool = make(connections=3, usual_size=9)
    held = [ThreadPoolExecutor(1).submit(pool.connect).result(PATIENCE_S) for _ in range(3)]
    assert server.open == len(held)


def test_no_more_is_opened_than_threads_can_use(make: Make, budget: Budget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_THREADS", "4")
    make("auth", connections=60)
    assert budget.most == 4 + pools.SPARE
    make("tenant", connections=60)
    assert budget.most == 2 * (4 + pools.SPARE)


@pytest.mark.parametrize("connections", [2, 3, 5, 20])
def test_requests_that_ask_a_sibling_while_they_hold_a_connection_all_end(
    make: Make, server: Server, budget: Budget, connections: int
) -> None:
    services = [make(f"service{number}", connections=connections) for number in range(SERVICES)]
    chosen = random.Random(7)
    calls = [(chosen.choice(services), chosen.choice(services)) for _ in range(2000)]

    def request(own: Pool, sibling: Pool) -> None:
        held = own.connect()
        second = sibling.connect()
        second.close()
        held.close()

    with ThreadPoolExecutor(THREADS) as threads:
        for answer in [threads.submit(request, *call) for call in calls]:
            answer.result(PATIENCE_S * 3)
    assert server.most <= connections
    budget.close_idle(since=FOREVER)
    assert (server.open, budget.open, sum(len(each.holders) for each in services)) == (0, 0, 0)


def test_those_who_hold_nothing_leave_room_for_those_who_need_a_second(make: Make, server: Server) -> None:
    one, other = make("auth", connections=5), make("tenant", connections=5, timeout=0.05)
    threads = [ThreadPoolExecutor(1) for _ in range(5)]
    firsts = [thread.submit(one.connect).result(PATIENCE_S) for thread in threads[:4]]
    with pytest.raises(PoolTimeout):
        threads[4].submit(other.connect).result(PATIENCE_S)
    second = threads[0].submit(other.connect).result(PATIENCE_S)
    assert server.open == len(firsts) + 1
    second.close()
