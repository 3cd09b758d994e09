"""Connections to a database: a few are kept, and more are made for as long as there is more to do.

To make one takes Postgres and us some milliseconds, and those beyond the kept ones are closed as soon as they are
back. So a request waits a moment for a kept one first: while requests are short, that is sooner, and hardly any is
made. Behind requests that are slow, it costs that moment.
"""

import time
from contextlib import suppress
from typing import Any

from sqlalchemy import QueuePool
from sqlalchemy.util.queue import Empty

from kit import metrics

MOMENT_S = 0.02


class Pool(QueuePool):
    """A pool whose `logging_name` is the service; how long each connection was waited for is counted."""

    def _do_get(self) -> Any:
        began = time.perf_counter()
        try:
            if self._overflow >= 0 and self._max_overflow >= 0:  # every connection that is kept has been made
                with suppress(Empty):
                    return self._pool.get(True, MOMENT_S)
            return super()._do_get()
        finally:
            metrics.waited(self.logging_name or "", time.perf_counter() - began)
