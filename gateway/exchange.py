"""One request on its way through the gateway."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.auth import Principal
from gateway.headers import Headers
from gateway.routes import Operation
from kit import metrics, telemetry, trace
from kit.fairness import Who, network
from kit.identity import GATEWAY
from kit.trace import Hop

WINDOW_S = 60
SECOND_NS = 1_000_000_000


class Standing(NamedTuple):
    """How somebody stands with a limit after a request: let through, unless there is something to wait for."""

    policy: str
    quota: int
    left: int
    missing_ns: int  # until all of the quota is left
    wait_ns: int

    @property
    def wait_s(self) -> int:
        """Seconds until the request would be let through; 0 when it was."""
        return _seconds(self.wait_ns)

    @property
    def headers(self) -> Headers:
        """As draft-ietf-httpapi-ratelimit-headers-11 writes it."""
        return [
            ("RateLimit-Policy", f'"{self.policy}";q={self.quota};w={WINDOW_S}'),
            ("RateLimit", f'"{self.policy}";r={self.left};t={_seconds(self.missing_ns)}'),
        ]


def _seconds(nanoseconds: int) -> int:
    return -(-nanoseconds // SECOND_NS)


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
    def who(self) -> Who:
        """Return whose request it is, for what is shared: a tenant's, else an address's."""
        identity = self.principal.identity if self.principal else None
        if identity is None:
            return Who(network(self.client))
        return Who(identity.tenant_id or identity.user_id, identity.user_id)

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
