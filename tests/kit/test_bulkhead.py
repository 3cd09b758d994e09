"""Places at a bulkhead: a burst waits its turn, a slow program does not gather threads."""

import threading
import time

import pytest

from kit import bulkhead
from kit.bulkhead import Bulkhead
from kit.errors import Unavailable
from tests.services.helpers import raced


def test_a_burst_of_short_calls_waits_and_all_get_their_turn() -> None:
    places, most, inside = Bulkhead(2), [0], [0]
    lock = threading.Lock()

    def call() -> bool:
        with places.place(Unavailable()):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.01)
            with lock:
                inside[0] -= 1
        return True

    assert raced(*[call] * 20) == [True] * 20
    assert most == [2]


def test_nobody_joins_those_who_are_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulkhead, "SLOW_S", 0.0)
    places = Bulkhead(1)
    leave = places.enter()
    assert leave is not None
    assert places.enter(60) is None
    leave()


def test_after_a_slow_call_nobody_waits_until_a_quick_one_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    places = Bulkhead(1)
    for held_s, is_patient in ((bulkhead.SLOW_S + 1, False), (0.01, True)):
        leave = places.enter()
        assert leave is not None
        now[0] += held_s
        leave()
        assert places._was_slow is not is_patient
