"""Floods: who sends too much is stopped, cheaply, and honest people elsewhere do not notice."""

import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from argon2 import PasswordHasher
from werkzeug.test import Client

from gateway.limits import Limits
from kit.guessing import FREE
from tests.api import PASSWORD, new_person
from tests.gateway.stack import Stack, stack
from tests.security.test_abuse import BOMBS, MEBIBYTE
from tests.tables import Tally
from tests.topologies import running

QUOTA = 5
FLOOD = 200
HEADERS = 100_000
ROUNDS, THROWS = 6, 8  # a round throws a hundred MiB
# After the second round it grows by less than one MiB, for threads that had no turn before. Ten KiB lost with each
# request, a hundredth of a usual body here, would be more than this by the last.
GROWTH = 3 * MEBIBYTE
# glibc keeps room that was freed, more or less of it by chance (mallopt(3)). Told to give back each block beyond this
# size, it leaves nothing to be seen but what somebody still holds.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
STALLED = 40


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway in a gunicorn of ours."""
    with stack("mounted", tmp_path_factory.mktemp("floods")) as built:
        yield built


def test_a_flood_of_logins_is_stopped_and_others_still_log_in(
    platform: Any, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    person, other = new_person(platform), new_person(platform)
    hashed: list[str] = []
    verify = PasswordHasher.verify
    monkeypatch.setattr(PasswordHasher, "verify", lambda *args: hashed.append("") or verify(*args))
    monkeypatch.setenv("RATE_LIMIT_LOGIN", str(QUOTA))
    monkeypatch.setattr(platform.proxy, "limits", Limits(lambda: 0))  # a minute in which no time passes

    def login(address: str, password: str, email: str = person.email) -> int:
        body = {"email": email, "password": password}
        return Client(platform).post("/auth/login", json=body, environ_base={"REMOTE_ADDR": address}).status_code

    guesses = Counter(login("203.0.113.7", f"guess number {number}") for number in range(FLOOD))
    assert guesses == {401: FREE, 429: FLOOD - FREE}
    assert len(hashed) == FREE, "a refused guess costs no hash"
    assert login("203.0.113.7", PASSWORD, other.email) == 429, "the address is out of tries, whoever it asks for"
    honest = [login(f"198.51.100.{number}", PASSWORD, other.email) for number in range(10)]
    tally("guesses in a flood", tried=FLOOD, bad=guesses[200])
    assert honest == [200] * 10


@pytest.mark.parametrize("line", [b"X-%d: v\r\n", b"X-Same: %d\r\n", b"X_%d: v\r\n", b"Cookie: c%d=v\r\n"])
def test_a_hundred_thousand_headers_are_refused_and_nobody_waits(gateway: Stack, line: bytes) -> None:
    with closing(socket.create_connection(("127.0.0.1", gateway.port), timeout=20)) as client:
        with suppress(ConnectionError):  # the other side may close before it has read them all
            client.sendall(b"GET /api/customers HTTP/1.1\r\nHost: x\r\n")
            client.sendall(b"".join(line % number for number in range(HEADERS)) + b"\r\n")
        with suppress(ConnectionError):
            assert client.recv(65536).startswith(b"HTTP/1.1 431 ")
    assert requests.get(f"http://127.0.0.1:{gateway.port}/live", timeout=5).status_code == 200


def test_bodies_that_never_end_leave_room_for_others(gateway: Stack) -> None:
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    stalled = [socket.create_connection(("127.0.0.1", gateway.port), timeout=20) for _ in range(STALLED)]
    try:
        for client in stalled:
            client.sendall(head)
        for _ in range(5):
            assert requests.get(f"http://127.0.0.1:{gateway.port}/live", timeout=5).status_code == 200
    finally:
        for client in stalled:
            client.close()


def resident(pids: set[int]) -> int:
    """Bytes of memory that these processes hold."""
    lines = [Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in pids]
    return sum(map(int, lines)) * os.sysconf("SC_PAGE_SIZE")


def workers(home: Path) -> set[int]:
    """The processes of a running platform, but for Postgres."""
    found = set()
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            told, name = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
            if folder.name.isdigit() and str(home).encode() in told and b"gunicorn" in name:
                found.add(int(folder.name))
    return found


@pytest.mark.long
def test_hostile_bodies_leave_no_memory_behind(tmp_path: Path, tally: Tally) -> None:
    """A plateau: what the first round filled (threads, caches, pools) is full, and later rounds add nothing to it."""
    bodies = [*BOMBS.values(), b" " * 9 * MEBIBYTE] * THROWS
    with running("solo", tmp_path, GIVE_BACK) as platform:
        person = new_person(platform.url)
        headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/json"}
        held = []
        for _ in range(ROUNDS):
            for body in bodies:
                answer = requests.post(platform.url + "/api/customers/", data=body, headers=headers, timeout=30)
                assert 400 <= answer.status_code < 500
            held.append(resident(workers(platform.home)))
    grown = held[-1] - held[1]
    note = f"{grown / MEBIBYTE:+.1f} MiB"
    tally("memory after hostile bodies", tried=ROUNDS * len(bodies), bad=int(grown > GROWTH), note=note)
    assert held[0] > 0
    assert grown <= GROWTH, held
