"""Places that everybody shares fairly, so that no tenant keeps the others waiting.

Each room has so many places. A share adapts to the free places (the dynamic thresholds of Choudhury and Hahne, "Dynamic
queue length thresholds for shared-memory packet switches", 1998): a tenant may take a place while it holds fewer than
twice the free ones, a person while they hold fewer than the free ones, and the last free place belongs to a tenant that
holds none. So one tenant alone gets about two thirds of a room, n busy ones get 2 / (2n + 1) of it each, and a tenant
that comes anew finds a free place.

Who finds none waits in a queue, without a thread where the server can suspend a request. The next place goes to the
waiting tenant that holds the fewest places and has held them for the shortest time lately. A tenant that has held
places for many seconds longer than another one holds a single place while that one asks: Python computes one thing at
a time, so that each further one would make everybody slower.
"""

import os
import select
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Hashable
from contextlib import suppress
from ipaddress import IPv6Address
from typing import NamedTuple

MOST_WAITING = 100  # requests of one person in one queue; a page or a batch of an honest client has fewer
HALVING_S = 10.0  # the half-life of the seconds that a tenant has held places
AHEAD_S = 10.0  # that a tenant may have held places longer than others who ask; a burst of an honest client is shorter
ASKING_S = 0.25  # for which a tenant counts as one who asks
MOST_ASKING = 1000  # tenants that are remembered before those are forgotten that do not ask any more
IPV6_SHARED = (1 << 64) - 1  # the part of an address that its owner may choose freely (RFC 4291, 2.5.1)


class Who(NamedTuple):
    """The owner of requests that share places: a tenant and one of its people, or the address of a visitor."""

    tenant: Hashable
    person: Hashable = None


def network(address: str) -> str:
    """Return whose address it is: in IPv6 each owner has a network of 2^64 addresses to choose from."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) & ~IPV6_SHARED))


class Room:
    """A number of places."""

    def __init__(self, places: int) -> None:
        self.places = self.free = places
        self._held: Counter[Hashable] = Counter()

    def admits(self, who: Who) -> bool:
        """Return whether a place is free for this tenant and person."""
        held = self._held[who.tenant]
        if not held or not self.free:
            return self.free > 0
        return self.free > 1 and held < 2 * self.free and self._held[who] < self.free

    def held(self, who: Who) -> int:
        """Return the number of places that the tenant holds."""
        return self._held[who.tenant]

    def enter(self, who: Who) -> None:
        """Take a place."""
        self.free -= 1
        self._held[who.tenant] += 1
        self._held[who] += 1

    def leave(self, who: Who) -> None:
        """Give a place back."""
        self.free += 1
        for key in (who.tenant, who):
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]


class Signal:
    """A descriptor that becomes readable once. It is always writable, by which a server ends a wait for it."""

    def __init__(self) -> None:
        self._ends: tuple[socket.socket, ...] = ()
        if hasattr(os, "eventfd"):
            self._number = self._writer = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        else:
            self._ends = socket.socketpair()
            self._number, self._writer = (end.fileno() for end in self._ends)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._number

    def give(self) -> None:
        """Make the descriptor readable."""
        os.write(self._writer, (1).to_bytes(8, "little"))  # an eventfd takes a number of eight bytes

    def close(self) -> None:
        """Close the descriptor."""
        if not self._ends:
            os.close(self._number)
        for end in self._ends:
            end.close()


class Turn:
    """A request's place in each of some rooms, or its position in the queue for them."""

    __slots__ = ("_gate", "entered", "is_granted", "rooms", "signal", "who")

    def __init__(self, gate: "Gate", who: Who, rooms: tuple[Room, ...]) -> None:
        self._gate, self.who, self.rooms = gate, who, rooms
        self.is_granted = False
        self.entered = 0.0
        self.signal: Signal | None = None

    @property
    def is_refused(self) -> bool:
        """Return whether the queue was too long to join it."""
        return not self.is_granted and self.signal is None

    @property
    def is_at_its_share(self) -> bool:
        """Return whether the tenant's own requests are in the way, rather than those of others."""
        return any(room.held(self.who) and room.free for room in self.rooms)

    def look(self) -> bool:
        """Return whether the turn has come; it also comes as others stop asking."""
        return self.is_granted or self._gate.look(self)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the turn comes."""
        assert self.signal is not None
        return self.signal.fileno()

    def wait(self, seconds: float) -> bool:
        """Wait in this thread; return whether the turn has come."""
        if not self.is_granted and self.signal is not None:
            poll = select.poll()
            poll.register(self.signal.fileno(), select.POLLIN)
            poll.poll(max(0.0, seconds) * 1000)
        return self.is_granted

    def leave(self) -> None:
        """Give the places back, or leave the queue. A second call does nothing."""
        self._gate.leave(self)


class Gate:
    """Lets requests into rooms, and keeps the queues of those that wait. One lock guards all of its rooms.

    `paces`: its requests compute in this process, so that a tenant which is ahead of others holds a single place.
    """

    def __init__(self, paces: bool = False) -> None:
        self._paces = paces
        self._lock = threading.Lock()
        self._queues: dict[tuple[Who, tuple[Room, ...]], deque[Turn]] = {}
        self._spent_s: dict[Hashable, float] = {}
        self._asked: dict[Hashable, float] = {}
        self._aged = time.monotonic()

    def ask(self, who: Who, rooms: tuple[Room, ...], *, may_wait: bool = True) -> Turn:
        """Ask for a place in each of the rooms, all at once. Every turn has to leave in the end.

        Without `may_wait`, and where no descriptor is left, a turn that finds no place is refused.
        """
        turn = Turn(self, who, rooms)
        with self._lock:
            self._note(who)
            queue = self._queues.get((who, rooms))
            if queue is None and self._admits(who, rooms):
                self._enter(turn)
            elif may_wait and (queue is None or len(queue) < MOST_WAITING):
                with suppress(OSError):
                    turn.signal = Signal()
                    self._queues.setdefault((who, rooms), deque()).append(turn)
                    self._admit()
        return turn

    def look(self, turn: Turn) -> bool:
        """Let in all whose turn has come by now; return whether this one was among them."""
        with self._lock:
            self._admit()
            return turn.is_granted

    def leave(self, turn: Turn) -> None:
        """End a turn, and let those in whose turn has come."""
        with self._lock:
            if turn.is_granted:
                turn.is_granted = False
                self._spend(turn)
                for room in turn.rooms:
                    room.leave(turn.who)
                self._admit()
            elif turn.signal is not None:
                self._forget(turn)
            signal, turn.signal = turn.signal, None
        if signal is not None:
            signal.close()

    def _admits(self, who: Who, rooms: tuple[Room, ...]) -> bool:
        return all(room.admits(who) for room in rooms) and not (rooms[0].held(who) and self._is_ahead(who.tenant))

    def _note(self, who: Who) -> None:
        """Remember who asks. An address is nobody's share of the work: it does not hold anybody back."""
        if self._paces and who.person is not None:
            self._asked[who.tenant] = time.monotonic()
            if len(self._asked) > MOST_ASKING:
                self._forget_silent()

    def _forget_silent(self) -> None:
        since = time.monotonic() - ASKING_S
        self._asked = {tenant: asked for tenant, asked in self._asked.items() if asked > since}

    def _is_ahead(self, tenant: Hashable) -> bool:
        self._forget_silent()
        self._age()
        others = [self._spent_s.get(one, 0.0) for one in self._asked if one != tenant]
        return bool(others) and self._spent_s.get(tenant, 0.0) > min(others) + AHEAD_S

    def _enter(self, turn: Turn) -> None:
        turn.is_granted, turn.entered = True, time.monotonic()
        for room in turn.rooms:
            room.enter(turn.who)

    def _forget(self, turn: Turn) -> None:
        key = (turn.who, turn.rooms)
        queue = self._queues.get(key)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._queues[key]

    def _admit(self) -> None:
        while True:
            keys = [key for key in self._queues if self._admits(*key)]
            if not keys:
                return
            turn = self._queues[min(keys, key=self._precedence)][0]
            self._forget(turn)
            self._enter(turn)
            assert turn.signal is not None
            turn.signal.give()

    def _precedence(self, key: tuple[Who, tuple[Room, ...]]) -> tuple[float, ...]:
        who, rooms = key
        held = max(room.held(who) for room in rooms)
        return held, self._spent_s.get(who.tenant, 0.0), self._spent_s.get(who, 0.0)

    def _spend(self, turn: Turn) -> None:
        self._age()
        for key in (turn.who.tenant, turn.who):
            self._spent_s[key] = self._spent_s.get(key, 0.0) + time.monotonic() - turn.entered

    def _age(self) -> None:
        passed = time.monotonic() - self._aged
        if passed > HALVING_S:
            part = 0.5 ** (passed / HALVING_S)
            self._spent_s = {key: spent * part for key, spent in self._spent_s.items() if spent * part > 0.001}
            self._aged += passed
