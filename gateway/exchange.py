"""One request on its way through the gateway, and its line in the log."""

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from gateway.auth import Principal
from gateway.headers import Headers
from gateway.limits import Standing
from gateway.observed import observed
from gateway.routes import Operation
from kit import metrics, telemetry, trace
from kit.identity import GATEWAY
from kit.logs import API, logger, say
from kit.trace import Hop

log = logger(GATEWAY, API)


@dataclass(slots=True)
class Exchange:
    """One request on its way through: what the log wants to know, and what every answer to it says."""

    method: str
    path: str
    started: float
    request_id: str
    client: str
    hop: Hop
    asked: Hop | None = None
    operation: Operation | None = None
    principal: Principal | None = None
    status: int = 0
    upstream_ms: float | None = None
    headers: Headers = field(default_factory=list)
    standing: Standing | None = None
    packs: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """Who answers; empty when nobody was asked."""
        return self.operation.service if self.operation else ""

    @property
    def route(self) -> str:
        """The public template of the address; empty when it is not in the table."""
        return self.operation.prefix + self.operation.path if self.operation else ""

    def ask(self) -> dict[str, str]:
        """The service is about to be asked: the headers that tell it of this hop."""
        prefix = self.operation.prefix if self.operation else ""
        metrics.active(GATEWAY).inc()
        self.asked = telemetry.ask(self.hop, self.method, f"http://{self.service}{self.path.removeprefix(prefix)}")
        return self.asked.headers()


def begin(environ: dict[str, Any], path: str) -> Hop:
    """The gateway's own hop of a request, below the client's if it told one."""
    caller = trace.received(environ.get("HTTP_TRACEPARENT"), environ.get("HTTP_TRACESTATE"))
    return telemetry.serve(GATEWAY, caller, environ["REQUEST_METHOD"], path)


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
