"""What is said of a request when it is over: its line in the log, its place in the figures, the end of its span."""

import logging
import time

from gateway.exchange import Exchange
from gateway.observed import observed
from kit import metrics, telemetry
from kit.identity import GATEWAY
from kit.logs import API, logger, say

log = logger(GATEWAY, API)


def log_request(exchange: Exchange) -> None:
    """Say what was asked, by whom, who answered, and how long it took. Paths have ids, never query strings."""
    observed.record(exchange)
    code = exchange.extra.get("code", "")
    if exchange.asked:
        metrics.active(GATEWAY).dec()
        telemetry.heard(exchange.asked, None if code else exchange.status, code)
    telemetry.answered(exchange.hop, exchange.status, exchange.route, code)
    if not log.isEnabledFor(logging.INFO):
        return
    who = exchange.principal.identity if exchange.principal else None
    fields = {
        "request_id": exchange.request_id,
        **exchange.hop.fields(),
        "method": exchange.method,
        "path": exchange.path[:500],
        "status": exchange.status,
        "ms": round((time.perf_counter() - exchange.started) * 1000, 1),
        "upstream": exchange.service or None,
        "upstream_ms": None if exchange.upstream_ms is None else round(exchange.upstream_ms, 1),
        "client": exchange.client,
        "user_id": who.user_id if who else None,
        "tenant_id": who.tenant_id if who else None,
        "code": code or None,
    }
    say(log, fields)
