"""Who waits says so first.

One thread of a web process takes what happens on its sockets, and answers what needs no waiting itself: handing each
request to another thread costs more than most answers of the gateway do (`docs/performance.md`). Whoever is about to
wait, for a service, a lock or a slow client, calls `yielding()`, and another thread takes the lead.

What waits for one descriptor needs no thread at all: an application calls the environ's `SUSPEND` and yields an empty
piece, before it has started its answer. Its iteration goes on, in any thread, when the descriptor is readable or the
time is over. (The idea is the old `x-wsgiorg.fdevent` extension's.)
"""

import threading
from collections.abc import Callable

SUSPEND = "alicerce.suspend"  # in an environ: what an application calls before it yields an empty piece
Suspend = Callable[
    [int, float], None
]  # a descriptor to be readable, and the moment of `time.monotonic` to end the wait

_lead = threading.local()


def leading(resign: Callable[[], None]) -> None:
    """This thread leads from now on. `resign` is called once, when it has to wait or does not lead any more."""
    _lead.resign = resign


def yielding() -> None:
    """This thread may have to wait. Does nothing in a thread that does not lead."""
    resign: Callable[[], None] | None = getattr(_lead, "resign", None)
    if resign is not None:
        _lead.resign = None
        resign()
