"""Whatever one request of the gateway waits for, others are answered meanwhile: each known wait, held for real."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.gateway.stack import access_token, serving
from tests.gateway.upstreams import Server
from tests.topologies import PATIENCE_S, ROOT, environment, eventually

THREADS = 4
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
NOTHING_REVOKED = b'{"revocations": []}'
SOON_S = 10  # far less than what is held, and far more than an answer takes


@dataclass
class Service:
    """What stands behind the gateway: it holds what it is told to hold, and answers the rest."""

    holds: str = "nothing"
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)

    def converse(self, connection: socket.socket, received: bytes) -> None:
        path = received.split(b" ", 2)[1].decode()
        if path.startswith(self.holds):
            self.entered.release()
            self.released.wait(PATIENCE_S)
        body = NOTHING_REVOKED if path.startswith("/internal/revocations") else b"{}"
        connection.sendall(ANSWER % (len(body), body))


@dataclass
class Gateway:
    """A real gateway before a service called customer, and one called auth and tenant."""

    url: str
    port: int
    customer: Service
    auth: Service
    token: str

    def get(self, path: str, **headers: str) -> int:
        return requests.get(self.url + path, headers=headers, timeout=SOON_S).status_code

    def begin(self, path: str, *more: str) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *more, "", ""]
        client.sendall("\r\n".join(lines).encode())
        return client

    def others_are_answered(self) -> None:
        """By this gateway itself, and by both services, for more requests than it has threads."""
        for _ in range(THREADS + 1):
            assert self.get("/nowhere") == 404
            assert self.get("/auth/answers/1") == 200


def status(client: socket.socket) -> int:
    with client:
        received = b""
        while more := client.recv(65536):
            received += more
    return int(received.split(b" ", 2)[1])


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    customer, auth = Service(), Service()
    behind = {"CUSTOMER": Server(customer.converse), "AUTH": Server(auth.converse)}
    behind["TENANT"] = behind["AUTH"]
    settings = environment(tmp_path, {}) | {f"{name}_SERVICE_URL": server.url for name, server in behind.items()}
    settings |= {"WEB_THREADS": str(THREADS), "REVOCATION_POLL_SECONDS": "0"}
    subprocess.run([sys.executable, "-m", "alicerce", "keys"], cwd=ROOT, env=settings, check=True)
    with serving("tests.gateway.echo:over_http()", settings) as port:
        made = Gateway(f"http://127.0.0.1:{port}", port, customer, auth, f"Bearer {access_token(tmp_path)}")
        eventually(lambda: made.get("/ready") == 200, "it is ready")
        try:
            yield made
        finally:
            for service in (customer, auth):
                service.released.set()
            for server in behind.values():
                server.close()


def test_a_service_that_says_nothing(gateway: Gateway) -> None:
    gateway.customer.holds = "/answers"
    held = [gateway.begin("/api/answers/1") for _ in range(THREADS)]
    for _ in held:
        assert gateway.customer.entered.acquire(timeout=PATIENCE_S)
    gateway.others_are_answered()
    gateway.customer.released.set()
    assert [status(client) for client in held] == [200] * THREADS


def test_more_requests_to_a_service_than_it_works_on(gateway: Gateway) -> None:
    gateway.customer.holds = "/answers"
    held = [gateway.begin(f"/api/answers/{number}") for number in range(THREADS * 4)]
    for _ in held:
        assert gateway.customer.entered.acquire(timeout=PATIENCE_S)
    gateway.others_are_answered()
    gateway.customer.released.set()
    assert [status(client) for client in held] == [200] * len(held)


def test_the_reading_of_revocations(gateway: Gateway) -> None:
    token = f"Authorization: {gateway.token}"
    assert gateway.get("/api/customers", Authorization=gateway.token) == 200
    gateway.auth.holds = "/internal/revocations"
    held = gateway.begin("/api/customers", token)
    assert gateway.auth.entered.acquire(timeout=PATIENCE_S)
    gateway.others_are_answered()
    gateway.auth.released.set()
    assert status(held) == 200


def test_a_body_that_does_not_come(gateway: Gateway) -> None:
    held = []
    for _ in range(THREADS // 2):
        client = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S)
        client.sendall(b"POST /auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{")
        held.append(client)
    gateway.others_are_answered()
    for client in held:
        client.sendall(b"}")
    assert [status(client) for client in held] == [200] * len(held)
