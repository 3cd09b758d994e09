"""Clients who read: well, which is never cut, and so slowly that an answer would last for ever."""

import socket
import threading
from collections.abc import Iterator

import pytest

from kit.patience import ClientGone, PatientSocket
from tests.topologies import PATIENCE_S


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_an_answer_that_is_read_too_slowly_has_an_end(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    monkeypatch.setenv("SLOW_CLIENT_SECONDS", "0.2")
    monkeypatch.setattr("kit.patience.LEAST_BYTES_PER_S", 1_000_000_000)
    ours, theirs = pair
    patient, is_over = PatientSocket(ours, "client"), threading.Event()
    patient.begin(False)

    def drip() -> None:
        while not is_over.wait(0.05):
            theirs.recv(1 << 20)

    reader = threading.Thread(target=drip)
    reader.start()
    try:
        with pytest.raises(ClientGone):
            for _ in range(20):
                patient.sendall(b"x" * 1_000_000)
    finally:
        is_over.set()
        theirs.close()
        reader.join()


def test_a_long_answer_that_is_read_well_is_not_cut(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    monkeypatch.setenv("SLOW_CLIENT_SECONDS", "0.2")
    monkeypatch.setattr("kit.patience.PAUSE_S", 0.0)
    ours, theirs = pair
    patient = PatientSocket(ours, "client")
    patient.begin(False)
    taken: list[int] = []

    def read() -> None:
        while sum(taken) != 50_000_000:
            taken.append(len(theirs.recv(1 << 20)))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        patient.sendall(b"x" * 1_000_000)
    reader.join(PATIENCE_S)
    assert sum(taken) == 50_000_000
    assert not PatientSocket._waiting._held
