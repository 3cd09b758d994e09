"""Connections to a component that may stand at several addresses behind one name.

A connection is kept for a limited time, and each new one begins at another address of the name. So a replica that is
added gets its share once the connections from before have aged, and one that refuses is passed over at once.
"""

import random
import socket
import time
from itertools import count
from typing import Any

MOST_AGE_S = 8.0  # counted from the opening: connections are reused last in, first out, and so are hardly ever idle
LEAST_AGE_S = 4.0
LEAST_S = 0.001  # a timeout of nothing would make a socket non-blocking
Address = tuple[int, Any]  # a family, and an address as sockets of that family take it
_turns = count(random.randrange(1024))  # noqa: S311 - so that several processes do not begin at the same address


def expiry() -> float:
    """Return the moment after which a connection that is opened now carries no new request."""
    return time.monotonic() + random.uniform(LEAST_AGE_S, MOST_AGE_S)  # noqa: S311 - so that they do not end together


def addresses(host: str, port: int) -> list[Address]:
    """Return the addresses that a name has now, beginning with another one each time. Raises OSError.

    The order of a resolver may be the same each time, and is not kept.
    """
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    distinct: list[Address] = sorted({(int(family), at) for family, _, _, _, at in answers})
    first = next(_turns) % len(distinct)
    return distinct[first:] + distinct[:first]


def connect(candidates: list[Address], timeout_s: float, failed: Any = None) -> socket.socket:
    """Open a connection to the first of some addresses that takes it. Raises OSError, the last one's.

    All attempts together take `timeout_s` at most, and the socket's timeout is what is left of it. An attempt that
    others may follow gets an even share of the rest, so that addresses which drop packets leave time for a live one.
    `failed` is the address at which a connection has just broken: it is tried last.
    """
    deadline = time.monotonic() + timeout_s
    error: OSError = TimeoutError("no time is left to connect")
    for attempts, (family, at) in zip(
        range(len(candidates), 0, -1), sorted(candidates, key=lambda one: one[1] == failed), strict=True
    ):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(left / attempts)
            sock.connect(at)
            sock.settimeout(max(LEAST_S, deadline - time.monotonic()))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as refusal:
            sock.close()
            error = refusal
        else:
            return sock
    raise error
