"""Gateways of their own before a service that only remembers and says what it is told to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway import routes
from gateway.protection import finishing
from gateway.proxy import Proxy
from kit import transport

TABLE = (
    routes.Door(
        "echo",
        ("/api",),
        "GET /things\nPOST /things\nGET /open open\nPOST /open open\nPUT /things/<id>\nGET /shop optional",
    ),
    routes.Door(
        "vault",
        ("/auth",),
        "POST /login open\nPOST /register open\nPOST /refresh open\nPOST /validate-token open\nGET /me",
        credentials=True,
    ),
)
OFF = dict.fromkeys(
    [f"RATE_LIMIT_{whose}" for whose in ("ADDRESS", "LOGIN", "USER", "TENANT", "TENANT_SECONDS", "KEY")], "0"
)


@dataclass
class Service:
    """What it got last, how often it was asked, and what it answers."""

    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=lambda: [("Content-Type", "application/json")])
    body: bytes = b"{}"
    seen: dict[str, Any] = field(default_factory=dict)
    asked: int = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        self.seen, self.asked = dict(environ), self.asked + 1
        start_response(self.status, [*self.headers, ("Content-Length", str(len(self.body)))])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else self.body]


@dataclass
class Front:
    """A gateway as a WSGI app, with the service behind it."""

    proxy: Proxy
    service: Service

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        answer = self.proxy(environ, start_response)
        if answer is not None:
            return answer
        status = "200 OK" if environ["PATH_INFO"] in ("/live", "/page", "/metrics") else "404 Not Found"
        own = [("Content-Security-Policy", "script-src 'self'")] if environ["PATH_INFO"] == "/page" else []
        finishing(environ, start_response)(status, [("Content-Type", "text/plain"), *own])
        return [b"the gateway's own"]


Build = Callable[..., Front]


@contextmanager
def building(platform: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Builds gateways with these settings; every limit is off unless it is named."""
    service = Service()

    def build(**settings: str) -> Front:
        for name, value in (OFF | settings).items():
            monkeypatch.setenv(name, value)
        return Front(Proxy(platform.proxy.authenticator, TABLE), service)

    for name in ("echo", "vault"):
        transport.mount(name, service)
    try:
        yield build
    finally:
        for name in ("echo", "vault"):
            transport._mounted.pop(name)
