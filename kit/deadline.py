"""How long a request may still take. The budget travels along in `X-Request-Deadline-Ms` and only ever shrinks."""

import time

from flask import g, has_app_context

from kit.errors import DeadlineExceeded

HEADER = "X-Request-Deadline-Ms"
BUDGET_MS = 10_000
LEAST_MS = 50


def start(header: str | None) -> None:
    """Begin this request's budget: what the caller has left, at most our own."""
    budget = BUDGET_MS
    if header and header.isascii() and header.isdigit():
        budget = min(budget, int(header[:9]))
    g.deadline = time.monotonic() + budget / 1000


def remaining_ms() -> int:
    """Milliseconds left, at least one. Outside of a request the whole budget is left."""
    ends = g.get("deadline") if has_app_context() else None
    return BUDGET_MS if ends is None else max(1, int((ends - time.monotonic()) * 1000))


def spend() -> int:
    """Milliseconds that a call to somebody else may take. Raises DeadlineExceeded when too few are left."""
    left = remaining_ms()
    if left < LEAST_MS:
        raise DeadlineExceeded
    return left
