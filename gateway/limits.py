"""How much anybody may ask for: token buckets in memory, each kept as a single moment (GCRA).

A bucket holds a minute's quota and fills evenly. What is remembered of it is when it will be full again: a request
moves that moment on by one step, and is refused when it would come to lie further away than a whole minute.
"""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from gateway.exchange import SECOND_NS, WINDOW_S, Exchange, Standing
from gateway.routes import OPEN, Operation
from kit.config import setting
from kit.errors import TooManyRequests
from kit.fairness import network

MOST = 1_000_000
REMEMBERED = 20_000  # buckets of each limit; one that is forgotten was the least used, and begins full again
KEY_CHARACTERS = 100  # of a key that are remembered: longer ones are not ours


def quota(text: str) -> int:
    """Read a number of requests a minute. Raises ValueError."""
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number <= MOST:
        raise ValueError(f"use a whole number from 0 (no limit) to {MOST}")
    return number


RATE_LIMIT_ADDRESS = setting(
    "RATE_LIMIT_ADDRESS", 12_000, "Requests a minute that one address may send; 0: any number.", quota
)
RATE_LIMIT_LOGIN = setting(
    "RATE_LIMIT_LOGIN", 30, "Requests a minute that one address may send to log in, register or refresh.", quota
)
RATE_LIMIT_USER = setting("RATE_LIMIT_USER", 6_000, "Requests a minute that one person may send.", quota)
RATE_LIMIT_KEY = setting(
    "RATE_LIMIT_KEY", 6_000, "Requests a minute that visitors may send with one publishable key.", quota
)
RATE_LIMIT_TENANT = setting("RATE_LIMIT_TENANT", 30_000, "Requests a minute that one tenant's people may send.", quota)
RATE_LIMIT_TENANT_SECONDS = setting(
    "RATE_LIMIT_TENANT_SECONDS",
    600,
    "Seconds a minute that services may work for one tenant, all requests together.",
    quota,
)

Clock = Callable[[], int]


class Limit:
    """The buckets of one limit: `quota` requests a minute for each key."""

    def __init__(self, policy: str, quota: int, clock: Clock = time.monotonic_ns, remembered: int = REMEMBERED) -> None:
        self.policy, self.quota, self.clock, self.remembered = policy, quota, clock, remembered
        self.step = WINDOW_S * SECOND_NS // quota
        self.depth = self.step * quota
        self._full_at: OrderedDict[Hashable, int] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: Hashable, cost: int = 1) -> Standing:
        """Take one request out of a bucket. A refused one takes nothing, so that waiting always helps.

        A `cost` of 0 only asks: what it takes is known later, and then charged.
        """
        with self._lock:
            now = self.clock()
            full_at = max(now, self._full_at.get(key, 0))
            wait = full_at + self.step * cost - now - self.depth
            if wait <= 0:
                full_at += self.step * cost
            self._keep(key, full_at)
        missing = full_at - now
        left = max(0, self.depth - missing) // self.step
        return Standing(self.policy, self.quota, left, missing, max(0, wait))

    def charge(self, key: Hashable, cost: float) -> None:
        """Take from a bucket what was used, be it more than is left."""
        with self._lock:
            self._keep(key, max(self.clock(), self._full_at.get(key, 0)) + int(self.step * cost))

    def _keep(self, key: Hashable, full_at: int) -> None:
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)  # the last to be forgotten
        if len(self._full_at) > self.remembered:
            self._full_at.popitem(last=False)


def is_guessable(operation: Operation) -> bool:
    """Whether somebody may try secrets there: what is open, and sees passwords and tokens themselves."""
    return operation.mark == OPEN and operation.door.credentials and operation.method == "POST"


class Limits:
    """Every limit of one gateway process. Raises TooManyRequests; each has to be asked before what it protects."""

    def __init__(self, clock: Clock = time.monotonic_ns) -> None:
        self.address = _limit("address", RATE_LIMIT_ADDRESS(), clock)
        self.login = _limit("login", RATE_LIMIT_LOGIN(), clock)
        self.user = _limit("user", RATE_LIMIT_USER(), clock)
        self.tenant = _limit("tenant", RATE_LIMIT_TENANT(), clock)
        self.work = _limit("work", RATE_LIMIT_TENANT_SECONDS(), clock)
        self.key = _limit("key", RATE_LIMIT_KEY(), clock)

    def count_address(self, exchange: Exchange) -> None:
        """One more request from an address, whatever it is for."""
        _count(exchange, self.address, network(exchange.client))

    def count_login(self, exchange: Exchange) -> None:
        """One more secret that an address tries."""
        _count(exchange, self.login, network(exchange.client))

    def count_person(self, exchange: Exchange) -> None:
        """One more request of whom the checked token names. A person who is refused does not use up their tenant's."""
        if exchange.principal:
            _count(exchange, self.user, exchange.principal.identity.user_id)
            _count(exchange, self.tenant, exchange.principal.identity.tenant_id)
            _count(exchange, self.work, exchange.principal.identity.tenant_id, cost=0)

    def charge(self, exchange: Exchange, held_ms: str) -> None:
        """Charge a tenant with the time that a service has worked for it."""
        tenant_id = exchange.principal.identity.tenant_id if exchange.principal else None
        if self.work and tenant_id and held_ms.isdigit():
            self.work.charge(tenant_id, int(held_ms) / 1000)

    def count_key(self, exchange: Exchange, key: str) -> None:
        """One more request of a visitor who shows a publishable key. Nobody has checked it: it only names a crowd."""
        _count(exchange, self.key, key[:KEY_CHARACTERS])


def _limit(policy: str, quota: int, clock: Clock) -> Limit | None:
    # Processes know nothing of each other, so each allows its part: together they never allow more than was said.
    processes = max(1, int(os.environ.get("WEB_CONCURRENCY") or 1))  # as gunicorn reads it
    return Limit(policy, max(1, quota // processes), clock) if quota else None


def _count(exchange: Exchange, limit: Limit | None, key: Hashable, cost: int = 1) -> None:
    if limit is None or key is None:
        return
    standing = limit.take(key, cost)
    if not (cost or standing.wait_ns):  # seconds are nothing to compare requests with
        return
    if standing.wait_ns or exchange.standing is None or standing.left < exchange.standing.left:
        exchange.standing = standing
    if standing.wait_ns:
        raise TooManyRequests(retry_after_s=standing.wait_s, limit=limit.policy)
