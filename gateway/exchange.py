"""One request on its way through the gateway."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.auth import Principal
from gateway.headers import Headers
from gateway.routes import Operation
from kit import metrics, telemetry, trace
from kit.identity import GATEWAY
from kit.trace import Hop

WINDOW_S = 60


class Standing(NamedTuple):
    """How somebody stands with a limit after a request. `wait_s` is 0 when the request was let through."""

    policy: str
    quota: int
    left: int
    full_s: int
    wait_s: int

    @property
    def headers(self) -> Headers:
        """As draft-ietf-httpapi-ratelimit-headers-11 writes it."""
        return [
            ("RateLimit-Policy", f'"{self.policy}";q={self.quota};w={WINDOW_S}'),
            ("RateLimit", f'"{self.policy}";r={self.left};t={self.full_s}'),
        ]


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
