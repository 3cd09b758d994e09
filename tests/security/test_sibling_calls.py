"""A call between services goes where it was sent, with what it was given: nobody else hears our tokens."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import g

from kit import transport
from kit.client import Sibling
from tests.gateway.upstreams import Server, saying
from tests.services.helpers import app_of

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
TENANT = Sibling("tenant")


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    """Who should hear nothing."""
    server = Server(saying(EMPTY))
    yield server
    server.close()


def asked(monkeypatch: pytest.MonkeyPatch, answer: bytes, *path: str) -> list[bytes]:
    """What a sibling that answers like this is sent by auth."""
    server = Server(saying(answer))
    monkeypatch.delitem(transport._mounted, "tenant")
    monkeypatch.setenv("TENANT_SERVICE_URL", server.url)
    try:
        with app_of("auth").app_context():
            g.component = "auth"
            TENANT.get(type(None), *path)
    finally:
        server.close()
    return server.requests


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary Redirect", b"308 Permanent Redirect"])
def test_a_redirect_is_not_followed(
    platform: Any, monkeypatch: pytest.MonkeyPatch, elsewhere: Server, status: bytes
) -> None:
    where = b"\r\nLocation: " + elsewhere.url.encode() + b"/x\r\nContent-Length: 0\r\n\r\n"
    assert len(asked(monkeypatch, b"HTTP/1.1 " + status + where, "internal")) == 1
    assert elsewhere.requests == []


def test_a_proxy_of_the_environment_is_not_used(
    platform: Any, monkeypatch: pytest.MonkeyPatch, elsewhere: Server
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, elsewhere.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert len(asked(monkeypatch, EMPTY, "internal")) == 1
    assert elsewhere.requests == []


def test_a_part_of_an_address_stays_one_part(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    [received] = asked(monkeypatch, EMPTY, "internal", "../a?b=c#d", "e/f\r\nX-User-Id: root")
    line = received.partition(b"\r\n")[0]
    assert line == b"GET /internal/..%2Fa%3Fb%3Dc%23d/e%2Ff%0D%0AX-User-Id%3A%20root HTTP/1.1"
