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
    found: list[Address] = sorted({(int(family), at) for family, _, _, _, at in answers})
    first = next(_turns) % len(found)
    return found[first:] + found[:first]


def connect(found: list[Address], timeout_s: float, failed: Any = None) -> socket.socket:
    """Open a connection to the first of some addresses that takes it. Raises OSError, the last one's.

    `failed` is the address at which a connection has just broken: it is tried last.
    """
    error: OSError | None = None
    for family, at in sorted(found, key=lambda one: one[1] == failed):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout_s)
            sock.connect(at)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as refusal:
            sock.close()
            error = refusal
        else:
            return sock
    assert error is not None
    raise error
