"""Places at a bulkhead: a burst waits its turn, a slow program does not gather threads, and a tenant leaves a place."""

import threading
import time
from contextlib import ExitStack

import pytest

from kit import bulkhead
from kit.bulkhead import Bulkhead
from kit.errors import Unavailable
from kit.fairness import Who
from tests.services.helpers import raced

ONE, OTHER = Who("one"), Who("other")


def test_a_burst_of_short_calls_waits_and_all_get_their_turn() -> None:
    places, most, inside = Bulkhead(3), [0], [0]
    lock = threading.Lock()

    def call() -> bool:
        with places.place(ONE, Unavailable()):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            threading.Event().wait(0.01)
            with lock:
                inside[0] -= 1
        return True

    assert raced(*[call] * 20) == [True] * 20
    assert most == [2]


def test_a_tenant_leaves_a_place_for_another() -> None:
    places = Bulkhead(2)
    with places.place(ONE, Unavailable()):
        with pytest.raises(Unavailable), places.place(ONE, Unavailable(), 0):
            pass
        with places.place(OTHER, Unavailable(), 0):
            pass


def test_nobody_joins_those_who_are_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulkhead, "SLOW_S", 0.0)
    places = Bulkhead(1)
    with (
        places.place(ONE, Unavailable()),
        pytest.raises(Unavailable),
        places.place(OTHER, Unavailable(), 60),
    ):
        pass


def test_the_slow_calls_of_one_tenant_leave_the_patience_of_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulkhead, "SLOW_S", 0.0)
    places = Bulkhead(4)
    with places.place(ONE, Unavailable()):
        pass
    monkeypatch.setattr(bulkhead, "SLOW_S", 60.0)
    done = threading.Event()
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(places.place(OTHER, Unavailable(), 0))

        def wait() -> None:
            with places.place(OTHER, Unavailable(), 60):
                done.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        with pytest.raises(Unavailable), places.place(OTHER, Unavailable(), 0):
            pass
    waiting.join(60)
    assert done.is_set()


def test_after_a_slow_call_nobody_waits_until_a_quick_one_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    places = Bulkhead(1)
    for held_s, is_patient in ((bulkhead.SLOW_S + 1, False), (0.01, True)):
        with ExitStack() as held:
            held.enter_context(places.place(ONE, Unavailable()))
            now[0] += held_s
        assert (ONE.tenant in places._slow) is not is_patient
