"""One line of log a request."""

import logging
import time
from typing import TYPE_CHECKING

from kit.logs import logger

if TYPE_CHECKING:
    from gateway.proxy import Exchange


def log_request(exchange: "Exchange") -> None:
    """Say what was asked, by whom, who answered, and how long it took. Paths have ids, never query strings."""
    log = logger("gateway")
    if not log.isEnabledFor(logging.INFO):
        return
    who = exchange.principal.identity if exchange.principal else None
    fields = {
        "request_id": exchange.request_id,
        "method": exchange.method,
        "path": exchange.path[:500],
        "status": exchange.status,
        "ms": round((time.perf_counter() - exchange.started) * 1000, 1),
        "upstream": exchange.operation.service if exchange.operation else None,
        "upstream_ms": None if exchange.upstream_ms is None else round(exchange.upstream_ms, 1),
        "client": exchange.client,
        "user_id": who.user_id if who else None,
        "tenant_id": who.tenant_id if who else None,
        "code": exchange.extra.get("code"),
    }
    log.info("request", extra={"fields": fields})
