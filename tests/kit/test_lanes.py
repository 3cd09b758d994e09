"""The places of a service, over real sockets: a tenant that asks too much waits, and the others do not notice it."""

import socket
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.gateway.raw import Reply, parse
from tests.kit.served import CLOSE, Served, everything, get, serving
from tests.topologies import PATIENCE_S

MANY = 30
Tenants = tuple[str, str, str]
ALONE, FAST, SLOW = 2, 3, 1  # places that one person, one tenant, and one tenant in the slow lane gets, with 8 threads


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("lanes")
    with serving(folder, "epoll", "tests.kit.called_service:app", WEB_THREADS="8") as running:
        yield running


@pytest.fixture
def tenants() -> Tenants:
    """Three who have asked for nothing yet."""
    one, other, third = (str(uuid4()) for _ in range(3))
    return one, other, third


def ask(service: Served, path: str, tenant: str, person: str = "") -> socket.socket:
    client = service.connect()
    client.sendall(get(path, CLOSE, f"X-Tenant-Id: {tenant}\r\n", f"X-User-Id: {person or tenant}\r\n"))
    return client


def called(service: Served) -> socket.socket:
    """The next request that the service works on."""
    calling, _ = service.calls.accept()
    service.opened.append(calling)
    calling.settimeout(PATIENCE_S)
    return calling


def path_of(calling: socket.socket) -> str:
    return calling.recv(100).decode()


def release(*calling: socket.socket) -> None:
    for one in calling:
        one.sendall(b"done")
        one.close()


def reply(client: socket.socket) -> Reply:
    (answer,) = parse(everything(client))
    client.close()
    return answer


def nothing_is_called(service: Served) -> bool:
    """Return whether no further request is worked on, once the service has answered probes, which it takes in order."""
    for _ in range(3):
        service.ask("/live")
    service.calls.setblocking(False)
    try:
        service.calls.accept()[0].close()
    except BlockingIOError:
        return True
    finally:
        service.calls.settimeout(PATIENCE_S)
    return False


def test_a_burst_of_one_person_is_queued_and_not_refused(service: Served, tenants: Tenants) -> None:
    one, _, _ = tenants
    clients = [ask(service, f"/held/{number}", one) for number in range(MANY)]
    for _ in clients:
        release(called(service))
    assert [reply(client).status for client in clients] == [200] * MANY


def test_a_tenant_at_its_share_leaves_a_place_that_another_gets_at_once(service: Served, tenants: Tenants) -> None:
    one, other, third = tenants
    crowd = [ask(service, f"/held/{number}", one, person) for number, person in enumerate([one, third] * MANY)]
    held = [called(service) for _ in range(FAST)]
    assert nothing_is_called(service)
    newcomer = ask(service, "/held/99", other)
    working = called(service)
    assert path_of(working) == "/held/99"
    release(working)
    assert reply(newcomer).status == 200
    release(*held)
    for _ in range(len(crowd) - FAST):
        release(called(service))
    assert [reply(client).status for client in crowd] == [200] * len(crowd)


def test_a_person_leaves_a_place_for_colleagues(service: Served, tenants: Tenants) -> None:
    one, other, _ = tenants
    busy = [ask(service, f"/held/{number}", one) for number in range(5)]
    held = [called(service) for _ in range(ALONE)]
    assert nothing_is_called(service)
    colleague = ask(service, "/held/99", one, other)
    working = called(service)
    assert path_of(working) == "/held/99"
    release(working, *held)
    for _ in range(len(busy) - ALONE):
        release(called(service))
    assert [reply(client).status for client in (*busy, colleague)] == [200] * 6


def test_who_waits_too_long_for_places_of_its_own_tenant_is_told_so(service: Served, tenants: Tenants) -> None:
    one, _, _ = tenants
    clients = [ask(service, f"/held/{number}", one) for number in range(ALONE)]
    held = [called(service) for _ in clients]
    refused = reply(ask(service, "/held/99", one))
    refused.check_problem()
    assert (refused.status, refused.values("Retry-After")) == (429, ["1"])
    assert refused.json["code"] == "too_many_at_once"
    release(*held)
    assert [reply(client).status for client in clients] == [200] * ALONE


def test_slow_requests_leave_the_places_of_others_alone(service: Served, tenants: Tenants) -> None:
    one, other, _ = tenants
    slow = [ask(service, f"/slow/{number}", one) for number in range(3)]
    held = [called(service) for _ in range(SLOW)]
    assert nothing_is_called(service)
    quick, newcomer = ask(service, "/held/98", one), ask(service, "/slow/99", other)
    working = [called(service), called(service)]
    assert {path_of(one) for one in working} == {"/held/98", "/slow/99"}
    release(*working, *held)
    for _ in range(len(slow) - SLOW):
        release(called(service))
    assert [reply(client).status for client in (*slow, quick, newcomer)] == [200] * 5


def test_who_vanishes_from_the_queue_leaves_nothing_behind(service: Served, tenants: Tenants) -> None:
    one, _, _ = tenants
    first = [ask(service, f"/held/{number}", one) for number in range(ALONE)]
    held = [called(service) for _ in first]
    for client in [ask(service, f"/held/{number}", one) for number in range(MANY)]:
        client.close()
    assert nothing_is_called(service)
    last = ask(service, "/held/99", one)
    release(*held)
    while path_of(working := called(service)) != "/held/99":  # whose end was not noticed yet
        release(working)
    release(working)
    assert reply(last).status == 200
    assert [reply(client).status for client in first] == [200] * ALONE


def test_strangers_share_by_their_address(service: Served) -> None:
    def visit(number: int, address: str) -> socket.socket:
        client = service.connect()
        client.sendall(get(f"/held/{number}", CLOSE, f"X-Forwarded-For: {address}\r\n"))
        return client

    crowd = [visit(number, "192.0.2.1") for number in range(5)]
    held = [called(service) for _ in range(ALONE)]
    assert nothing_is_called(service)
    other = visit(99, "192.0.2.2")
    working = called(service)
    assert path_of(working) == "/held/99"
    release(working, *held)
    for _ in range(len(crowd) - ALONE):
        release(called(service))
    assert [reply(client).status for client in (*crowd, other)] == [200] * 6
