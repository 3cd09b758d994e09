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
_turns = count(random.randrange(1024))  # noqa: S311 - so that several processes do not begin at the same address


def expiry() -> float:
    """Return the moment after which a connection that is opened now carries no new request."""
    return time.monotonic() + random.uniform(LEAST_AGE_S, MOST_AGE_S)  # noqa: S311 - so that they do not end together


def connect(host: str, port: int, timeout_s: float, failed: Any = None) -> socket.socket:
    """Open a connection to one of the addresses of a name, trying each in turn. Raises OSError, the last one's.

    The name is resolved anew, and the order of a resolver, which may be the same each time, is not kept. `failed` is
    the address at which a connection has just broken: it is tried last.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = sorted({(family, address) for family, _, _, _, address in found})
    first = next(_turns) % len(addresses)
    error: OSError | None = None
    addresses = addresses[first:] + addresses[:first]
    for family, address in sorted(addresses, key=lambda one: one[1] == failed):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout_s)
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as refusal:
            sock.close()
            error = refusal
        else:
            return sock
    assert error is not None
    raise error
