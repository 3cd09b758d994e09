"""Locks that keep transactions of one tenant in one order, and how long a transaction waits for any lock."""

import zlib
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from flask import has_request_context
from sqlalchemy import ARRAY, Text, cast, column, func, select

# A request that waits for a row holds a thread and a connection. It waits longer than Postgres takes to look for a
# deadlock (1 s), because a deadlock can be mended by a repetition and a wait without end cannot.
REQUEST_MS = 1500
WORK_MS = 5000
STRIPES = 64


def patience_ms() -> int:
    """Return the milliseconds that a transaction waits for one lock: few in a request, more in work behind it."""
    return REQUEST_MS if has_request_context() else WORK_MS


def taking(tenant_id: UUID | None, kind: str, keys: Iterable[str]) -> Any:
    """Return the statement that locks keys until the transaction ends, in the order that everybody takes them.

    The keys of a tenant share STRIPES locks: a thousand locks a transaction would fill Postgres's table of them.
    """
    stripes = sorted({zlib.crc32(key.encode()) % STRIPES for key in keys})
    names = cast([f"{tenant_id} {kind} {stripe}" for stripe in stripes], ARRAY(Text()))
    table = func.unnest(names).table_valued(column("name", Text()), name="stripes").render_derived()
    return select(func.count(func.pg_advisory_xact_lock(func.hashtextextended(table.c.name, 0))))
