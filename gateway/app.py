"""The gateway's Flask app: health, documents and errors; everything else is the proxy's."""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask, Response

from gateway import compression, documents, ops
from gateway.auth import Authenticator
from gateway.protection import finishing
from gateway.proxy import Proxy
from gateway.revocations import Revocations
from gateway.routes import TABLE, Door
from gateway.upstream import Upstream
from kit import config, logs
from kit.app import handle_errors, json_answer, prepare_requests
from kit.config import VERSION
from kit.errors import Problem, Unavailable
from kit.identity import GATEWAY
from kit.waiting import yielding

HEALTH_AGE_S = 0.5  # with the time-out below, a killed service is told within two seconds
HEALTH_TIMEOUT_S = 1.0


class Gateway(Flask):
    """A Flask app that lets its proxy look at a request first."""

    says_when_it_waits = True  # to kit.worker
    proxy: Proxy

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = self.proxy(environ, start_response)
        if answer is None:
            yielding()
            return super().wsgi_app(environ, finishing(environ, start_response))
        return answer


class Health:
    """How the services are, asked at most every second, however often it is wanted."""

    def __init__(self, upstreams: dict[str, Upstream]) -> None:
        self.upstreams = upstreams
        self._known: dict[str, str] = {}
        self._asked = float("-inf")
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def services(self) -> dict[str, str]:
        """Each service and whether it is `healthy`, `unhealthy` or `unreachable`."""
        # Whoever comes while somebody else asks takes the last answer, and waits only for the very first one.
        if time.monotonic() - self._asked > HEALTH_AGE_S and self._lock.acquire(blocking=not self._known):
            try:
                if time.monotonic() - self._asked > HEALTH_AGE_S:
                    self._ask_all()
            finally:
                self._lock.release()
        return self._known

    def never_seen(self) -> list[str]:
        """The services that have not been healthy since this process began. Later failures of a service are its own:

        a gateway that called itself unready for them would be taken from the healthy ones too.
        """
        self._seen |= {name for name, state in self.services().items() if state == "healthy"}
        return [name for name in self.upstreams if name not in self._seen]

    def _ask_all(self) -> None:
        with ThreadPoolExecutor(max_workers=8) as pool:
            self._known = dict(zip(self.upstreams, pool.map(self._ask, self.upstreams.values()), strict=True))
        self._asked = time.monotonic()

    def _ask(self, upstream: Upstream) -> str:
        try:
            answer = upstream.get("/ready", HEALTH_TIMEOUT_S)
            b"".join(answer.body)
        except Problem:
            return "unreachable"
        return "healthy" if answer.status == 200 else "unhealthy"


def create_app(table: tuple[Door, ...] = TABLE) -> Gateway:
    """The gateway. Services that are mounted in this process are reached there, others at their addresses.

    Raises ConfigurationError when a service of the table is neither.
    """
    config.check(GATEWAY)
    logs.configure()
    app = Gateway(GATEWAY, static_folder=None)
    app.proxy = Proxy(Authenticator(app, Revocations(app)), table)
    health = Health(app.proxy.upstreams)
    prepare_requests(app)
    handle_errors(app)

    @app.get("/live", endpoint="/live")
    def live() -> Response:
        return json_answer({"status": "alive", "service": GATEWAY})

    @app.get("/ready", endpoint="/ready")
    def ready() -> Response:
        waiting = health.never_seen()
        if waiting:
            raise Unavailable(f"Not reachable yet: {', '.join(waiting)}.", code="not_ready", retry_after_s=1)
        return json_answer({"status": "ready", "service": GATEWAY})

    @app.get("/health", endpoint="/health")
    def show_health() -> Response:
        services = health.services()
        status = "healthy" if set(services.values()) == {"healthy"} else "degraded"
        return json_answer({"status": status, "service": GATEWAY, "version": VERSION, "services": services})

    compression.attach(app)
    documents.attach(app, table, app.proxy.upstreams)
    ops.attach(app, health.services)
    return app
