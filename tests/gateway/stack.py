"""A gunicorn of ours with the gateway, and one with an echoing service behind it; no database."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from kit import clock, tokens
from tests.gateway.echo import NAMES
from tests.topologies import PATIENCE_S, ROOT, environment, eventually

USER_ID = "0197a3c0-0000-7000-8000-00000000000a"
TENANT_ID = "0197a3c0-0000-7000-8000-00000000000b"


@dataclass(frozen=True)
class Stack:
    """A running gateway and what it believes."""

    port: int
    home: Path
    authorization: bytes
    service_port: int = 0
    user_id: str = USER_ID
    tenant_id: str = TENANT_ID

    def seen(self) -> list[str]:
        """Every request that reached the service through this gateway."""
        return list(requests.get(f"http://127.0.0.1:{self.port}/api/answers/seen", timeout=10).json())


@contextmanager
def serving(application: str, settings: dict[str, str], address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[int]:
    """A gunicorn with our settings on a port of its own, from its start to its end."""
    with socket.create_server(address, backlog=128) as listener:
        words = [sys.executable, "-m", "gunicorn", "-c", "python:kit.gunicorn", application]
        process = subprocess.Popen(
            [*words, "--bind", f"fd://{listener.fileno()}"], cwd=ROOT, env=settings, pass_fds=[listener.fileno()]
        )
        try:
            yield listener.getsockname()[1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


@contextmanager
def stack(kind: str, folder: Path, **more: str) -> Iterator[Stack]:
    """The gateway over HTTP (`over_http`), or in one process with the service (`mounted`), with more settings."""
    settings = environment(folder, {}) | more
    subprocess.run([sys.executable, "-m", "alicerce", "keys"], cwd=ROOT, env=settings, check=True)
    service_port = 0
    with ExitStack() as running:
        if kind == "over_http":
            service_port = running.enter_context(serving("tests.gateway.echo:service", settings))
            settings |= {f"{name.upper()}_SERVICE_URL": f"http://127.0.0.1:{service_port}" for name in NAMES}
        port = running.enter_context(serving(f"tests.gateway.echo:{kind}()", settings))
        built = Stack(port, folder, f"Authorization: Bearer {access_token(folder)}\r\n".encode(), service_port)
        ready = f"http://127.0.0.1:{port}/ready"
        eventually(lambda: requests.get(ready, timeout=PATIENCE_S).status_code == 200, "the stack is ready")
        yield built


def access_token(folder: Path) -> str:
    """What auth would sign for an owner."""
    claims = {
        "sub": USER_ID,
        "sid": USER_ID,
        "jti": USER_ID,
        "type": "access",
        "tenant_id": TENANT_ID,
        "roles": ["owner"],
        "iat_ms": int(clock.timestamp() * 1000),
    }
    return tokens.Keyring(folder / "keys").sign(tokens.ACCESS_COMPONENT, tokens.ACCESS, 600, claims)


@pytest.fixture(scope="session", params=["over_http", "mounted"])
def echo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway before a service that answers with what it received."""
    with stack(request.param, tmp_path_factory.mktemp(request.param)) as built:
        yield built
