"""Places that are shared: for whatever is asked and left in whatever order, nobody takes what belongs to others."""

import select
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import fairness
from kit.fairness import MOST_WAITING, Gate, Room, Signal, Turn, Who

TENANTS = [Who(tenant, person) for tenant in "abc" for person in (1, 2)]
NEWCOMER = Who("newcomer", 1)


def is_readable(number: int) -> bool:
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


@given(places=st.integers(1, 12), steps=st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 40))))
def test_whatever_is_asked_and_left_the_rooms_hold(places: int, steps: list[tuple[bool, int, int]]) -> None:
    gate, small, large = Gate(), Room(places), Room(places + 2)
    turns: list[Turn] = []
    for is_asking, who, index in steps:
        if is_asking:
            turns.append(gate.ask(TENANTS[who], (small, large) if index % 2 else (large,)))
        elif turns:
            turns.pop(index % len(turns)).leave()
        for room in (small, large):
            inside = Counter(turn.who.tenant for turn in turns if turn.is_granted and room in turn.rooms)
            assert room.free == room.places - inside.total() >= 0
            assert all(room.held(Who(tenant)) == count for tenant, count in inside.items())
        # Who holds nothing waits only where nothing is free.
        for turn in turns:
            is_new = all(room.held(turn.who) == 0 for room in turn.rooms)
            assert turn.is_granted or not is_new or any(room.free == 0 for room in turn.rooms)
    for turn in turns:
        turn.leave()
        turn.leave()
    assert (small.free, large.free, gate._queues) == (small.places, large.places, {})


@given(places=st.integers(2, 40), busy=st.integers(1, 6))
def test_busy_tenants_have_equal_shares_and_leave_a_place_to_who_comes_anew(places: int, busy: int) -> None:
    gate, room = Gate(), Room(places)
    turns = [gate.ask(Who(tenant, person), (room,)) for person in range(places) for tenant in range(busy)]
    shares = [room.held(Who(tenant)) for tenant in range(busy)]
    if busy < places:
        assert max(shares) - min(shares) <= 1
        assert max(shares) <= -(-places // busy)
        assert gate.ask(NEWCOMER, (room,)).is_granted
    assert len([turn for turn in turns if turn.is_granted]) == sum(shares)


def test_a_turn_comes_as_soon_as_it_may_and_is_announced() -> None:
    gate, room = Gate(), Room(1)
    first, second = gate.ask(TENANTS[0], (room,)), gate.ask(TENANTS[2], (room,))
    assert not second.is_granted
    assert not is_readable(second.fileno())
    first.leave()
    assert second.is_granted
    assert is_readable(second.fileno())
    assert second.wait(0)


def test_of_those_who_wait_the_tenant_is_next_that_was_worked_for_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    gate, room = Gate(), Room(1)
    long, short = TENANTS[0], TENANTS[2]
    for who, seconds in ((long, 3.0), (short, 0.1), (short, 0.1)):
        turn = gate.ask(who, (room,))
        now[0] += seconds
        turn.leave()
    held = gate.ask(NEWCOMER, (room,))
    first, second = gate.ask(long, (room,)), gate.ask(short, (room,))
    held.leave()
    assert (first.is_granted, second.is_granted) == (False, True)


def test_what_was_long_ago_counts_less_and_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    gate, room = Gate(), Room(1)
    turn = gate.ask(TENANTS[0], (room,))
    now[0] += 1000.0
    turn.leave()
    now[0] += 2 * fairness.HALVING_S
    gate.ask(TENANTS[2], (room,)).leave()
    assert gate._spent_s["a"] == pytest.approx(250.0)
    now[0] += 3600.0
    gate.ask(TENANTS[2], (room,)).leave()
    assert "a" not in gate._spent_s


def test_a_tenant_that_is_ahead_holds_one_place_while_another_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    gate, room, ahead, other = Gate(paces=True), Room(8), TENANTS[0], TENANTS[2]
    turn = gate.ask(ahead, (room,))
    now[0] += fairness.AHEAD_S + 0.1
    turn.leave()
    gate.ask(other, (room,)).leave()
    turns = [gate.ask(ahead, (room,)) for _ in range(3)]
    assert [turn.is_granted for turn in turns] == [True, False, False]
    now[0] += fairness.ASKING_S + 0.1  # nobody else asks any more
    turns[0].leave()
    assert [turn.is_granted for turn in turns[1:]] == [True, True]


def test_others_stop_asking_and_the_rest_is_let_in_without_anybody_leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    gate, room, ahead = Gate(paces=True), Room(8), TENANTS[0]
    turn = gate.ask(ahead, (room,))
    now[0] += fairness.AHEAD_S + 0.1
    turn.leave()
    gate.ask(TENANTS[2], (room,)).leave()
    turns = [gate.ask(ahead, (room,)) for _ in range(3)]
    assert not turns[1].look()
    assert turns[1].is_at_its_share
    now[0] += fairness.ASKING_S + 0.1
    assert turns[1].look()
    assert turns[2].is_granted


def test_who_is_not_logged_in_holds_nobody_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    gate, room, ahead = Gate(paces=True), Room(8), TENANTS[0]
    turn = gate.ask(ahead, (room,))
    now[0] += 100 * fairness.AHEAD_S
    turn.leave()
    for number in range(10):
        gate.ask(Who(f"192.0.2.{number}"), (room,)).leave()
    assert all(gate.ask(ahead, (room,)).is_granted for _ in range(3))


def test_who_asks_once_is_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    gate, room = Gate(paces=True), Room(8)
    for number in range(3 * fairness.MOST_ASKING):
        now[0] += 0.01
        gate.ask(Who(number, 1), (room,)).leave()
    assert len(gate._asked) <= fairness.MOST_ASKING
    assert len(gate._spent_s) <= 2 * fairness.MOST_ASKING


def test_who_finds_no_descriptor_is_refused_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> Signal:
        raise OSError(24, "Too many open files")

    gate, room = Gate(), Room(1)
    held = gate.ask(TENANTS[0], (room,))
    monkeypatch.setattr(fairness, "Signal", none_left)
    turn = gate.ask(TENANTS[2], (room,))
    assert turn.is_refused
    turn.leave()
    held.leave()
    assert (room.free, gate._queues) == (1, {})


def test_tenants_that_are_even_hold_their_shares() -> None:
    gate, room = Gate(paces=True), Room(8)
    turns = [gate.ask(TENANTS[number % 2 * 2], (room,)) for number in range(4)]
    assert all(turn.is_granted for turn in turns)


def test_a_queue_has_an_end() -> None:
    gate, room = Gate(), Room(1)
    turns = [gate.ask(TENANTS[0], (room,)) for _ in range(MOST_WAITING + 2)]
    assert [turn.is_refused for turn in turns] == [False] * (MOST_WAITING + 1) + [True]
    assert not turns[-1].wait(60)
    assert not gate.ask(TENANTS[1], (room,)).is_refused
    for turn in turns:
        turn.leave()
    assert set(gate._queues) <= {(TENANTS[1], (room,))}


@pytest.mark.parametrize("kind", ["eventfd", "socket pair"])
def test_a_signal_is_readable_once_given_and_leaves_no_descriptor(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "socket pair":
        monkeypatch.delattr(fairness.os, "eventfd", raising=False)
    signal = Signal()
    assert not is_readable(signal.fileno())
    poll = select.poll()
    poll.register(signal.fileno(), select.POLLOUT)
    assert poll.poll(0)  # by which a server ends a wait
    signal.give()
    assert is_readable(signal.fileno())
    signal.close()
