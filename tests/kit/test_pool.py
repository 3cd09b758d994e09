"""When a pool makes a connection, and when it waits for one that it has."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from kit.pool import Pool

PATIENCE_S = 20.0


class Connection:
    """As much of a DB-API connection (PEP 249) as a pool asks for."""

    def rollback(self) -> None:
        """Nothing was begun."""

    def close(self) -> None:
        """Nothing is held."""


class Server:
    """Makes connections, and counts them."""

    def __init__(self) -> None:
        self.made = 0

    def connect(self) -> Connection:
        self.made += 1
        return Connection()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def pool(server: Server) -> Pool:
    return Pool(server.connect, pool_size=1, max_overflow=1, timeout=PATIENCE_S, logging_name="customer")


def test_a_kept_connection_that_is_soon_back_is_waited_for(
    pool: Pool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kit.pool.MOMENT_S", PATIENCE_S)
    held = pool.connect()
    kept = held.dbapi_connection
    with ThreadPoolExecutor(1) as other:
        asking = other.submit(pool.connect)
        held.close()
        assert asking.result(PATIENCE_S).dbapi_connection is kept
    assert server.made == 1


def test_behind_one_that_stays_away_another_is_made_after_a_moment(pool: Pool, server: Server) -> None:
    held = pool.connect()
    another = pool.connect()
    assert another.dbapi_connection is not held.dbapi_connection
    assert server.made == 2


def test_where_any_number_is_kept_none_is_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.pool.MOMENT_S", 1e6)
    pool = Pool(server.connect, pool_size=0)
    held = [pool.connect() for _ in range(3)]
    assert server.made == len(held)


def test_kept_connections_are_made_without_waiting(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.pool.MOMENT_S", 1e6)
    pool = Pool(server.connect, pool_size=3, max_overflow=1)
    held = [pool.connect() for _ in range(3)]
    assert len({id(each.dbapi_connection) for each in held}) == server.made == 3
