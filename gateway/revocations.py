"""What has been revoked, as far as this process knows: read from its sources at most a second ago.

Nothing is polled when nobody asks. A request that finds it due has it read beside it and goes on; one that finds it
older than twice that waits for it. If a source cannot be read for longer than the bound, tokens can no longer be
trusted: 503.
"""

import threading
import time
from datetime import datetime, timedelta

from flask import Flask, g

from contracts import revocations as contract
from kit import clock, deadline
from kit.config import setting
from kit.errors import Problem, Unavailable
from kit.identity import GATEWAY, Identity
from kit.logs import logger
from kit.waiting import yielding

REVOCATION_POLL_SECONDS = setting(
    "REVOCATION_POLL_SECONDS", 0.5, "When the gateway asks again what was revoked; requests wait after twice as long."
)
REVOCATION_BOUND_SECONDS = setting(
    "REVOCATION_BOUND_SECONDS", 60.0, "How long revocations may be unreadable before the gateway stops trusting tokens."
)
OVERLAP = timedelta(seconds=15)  # a row may be committed after a later one; no transaction lasts longer
HISTORY = timedelta(days=2)  # longer than any access token lives
READ_MS = 1000
TIDY_S = 600.0
NEVER = float("-inf")


class RevocationsUnknown(Unavailable):
    """It cannot be told just now whether your token still holds. Try again shortly."""


class Revocations:
    """The revocations of every source. `epoch` counts changes, so that what was minted before can be dropped."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.epoch = 0
        self._void: dict[tuple[str, str], int] = {}
        self._read: dict[str, datetime] = {}
        self._fresh: dict[str, float] = {}
        self._began = self._due = self._old = 0.0
        self._is_failing = False
        self._oldest = NEVER
        self._bound_s = REVOCATION_BOUND_SECONDS()
        self._tidied = time.monotonic()
        self._lock = threading.Lock()

    def covers(self, who: Identity, issued_ms: int) -> bool:
        """Whether a token of this identity, issued at this moment, has been revoked."""
        void = self._void
        if not void:
            return False
        if ("session", str(who.session_id)) in void:
            return True
        member = f"{who.user_id}:{who.tenant_id}"
        subjects = (("user", str(who.user_id)), ("tenant", str(who.tenant_id)), ("membership", member))
        return any(void.get(subject, -1) >= issued_ms for subject in subjects)

    def refresh(self) -> None:
        """See to it that what is known is young enough. Raises RevocationsUnknown beyond the bound."""
        now = time.monotonic()
        if now >= self._old or (now >= self._due and self._oldest == NEVER):
            self._read_first(now)
        elif now >= self._due and self._lock.acquire(blocking=False):
            self._read_beside()
        if now - self._oldest > self._bound_s:
            raise RevocationsUnknown(retry_after_s=1)

    def _read_first(self, now: float) -> None:
        """Wait for what is read after `now`, once for all. While a source fails, one waits and the others go on."""
        yielding()
        if self._lock.acquire(blocking=not self._is_failing or self._oldest == NEVER):
            try:
                if self._began <= now:
                    self._read_all()
            finally:
                self._lock.release()

    def _read_beside(self) -> None:
        """Have it read by a thread of its own, which releases the lock."""

        def read() -> None:
            try:
                self._read_all()
            finally:
                self._lock.release()

        try:
            threading.Thread(target=read, name="revocations", daemon=True).start()
        except (RuntimeError, MemoryError) as error:  # no thread is to be had; who finds it old reads it
            self._lock.release()
            logger(GATEWAY).warning("revocations could not be read yet: %s", error)

    def _read_all(self) -> None:
        began, is_failing = time.monotonic(), False
        for source in contract.SOURCES:
            try:
                with self.app.app_context():
                    g.component = GATEWAY
                    # A request may wait for this: a source that hangs may cost it a second, not its whole budget.
                    deadline.start(str(READ_MS))
                    self._read_source(source)
                self._fresh[source] = time.monotonic()
            except Exception as error:  # the other source may still have something to say
                is_failing, is_ours = True, not isinstance(error, Problem)
                logger(GATEWAY).warning("revocations of %s could not be read: %s", source, error, exc_info=is_ours)
        self._tidy()
        # A source that was never read is not a fresh one, however short a time this machine has been up.
        if len(self._fresh) == len(contract.SOURCES):
            self._oldest = min(self._fresh.values())
        self._bound_s = REVOCATION_BOUND_SECONDS()
        self._is_failing, self._began = is_failing, began
        self._due = time.monotonic() + REVOCATION_POLL_SECONDS()
        self._old = max(self._due, began + 2 * REVOCATION_POLL_SECONDS())

    def _tidy(self) -> None:
        """Forget what is older than any token. A new table, because others read the old one meanwhile."""
        if time.monotonic() - self._tidied > TIDY_S:
            oldest = int((clock.now() - HISTORY).timestamp() * 1000)
            self._void = {subject: at for subject, at in self._void.items() if at >= oldest}
            self._tidied = time.monotonic()

    def _read_source(self, source: str) -> None:
        asked = clock.now()
        # The earlier of the two, so that a clock that was set back does not hide what is revoked until it catches up.
        since = min(self._read.get(source, asked - HISTORY), asked) - OVERLAP
        for row in contract.since(source, since):
            key, at = (row.kind, row.subject), int(row.at.timestamp() * 1000)
            if self._void.get(key, -1) < at:
                self._void[key] = at
                self.epoch += 1
        self._read[source] = asked
