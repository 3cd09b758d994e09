"""The real platform as a subprocess: started through the supervisor as a person would, and ended by SIGTERM."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import requests

from alicerce.processes import die_with_parent
from alicerce.services import services

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60.0
KEPT = ("PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE")
SETTINGS = {
    "ENV": "test",
    "LOG_LEVEL": "WARNING",
    "PASSWORD_HASH_MEMORY_KIB": "64",
    "REVOCATION_POLL_SECONDS": "0.05",
    "SLOW_CLIENT_SECONDS": "5",
    "RATE_LIMIT_LOGIN": "0",
    "RATE_LIMIT_ADDRESS": "0",
    "PYTHONUNBUFFERED": "1",
}

T = TypeVar("T")


@dataclass(frozen=True)
class Running:
    """A platform that answers: its topology, its ports by component, its generated folder, what it printed, and its
    supervisor."""

    topology: str
    ports: dict[str, int]
    home: Path
    output: Path
    supervisor: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['gateway']}"


def eventually(ask: Callable[[], T], what: str, seconds: float = PATIENCE_S) -> T:
    """The first answer that is true. Fails with `what` was expected when none is within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return answer


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on. All are held until all are known, so that none comes twice."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def environment(home: Path, ports: dict[str, int]) -> dict[str, str]:
    """An environment in which nothing of this process's own platform shows."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE") if name in os.environ
    }
    names = {name: "GATEWAY_PORT" if name == "gateway" else f"{name.upper()}_SERVICE_PORT" for name in ports}
    return {**kept, **SETTINGS, "ALICERCE_HOME": str(home), **{names[name]: str(port) for name, port in ports.items()}}


@contextmanager
def running(
    topology: str, folder: Path, settings: Mapping[str, str] | None = None, ports: dict[str, int] | None = None
) -> Iterator[Running]:
    """Start a topology in a folder of its own, wait until its gateway is ready, and stop it at the end.

    `settings` are further variables; `ports` are those of one that ran in this folder before.
    """
    components = ("gateway", *services())
    ports = ports or dict(zip(components, free_ports(len(components)), strict=True))
    home, said = folder / "alicerce", folder / "output"
    with said.open("a") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "alicerce", "run", "--topology", topology],
            cwd=ROOT,
            env=environment(home, ports) | dict(settings or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    platform = Running(topology, ports, home, said, process)

    def ready() -> bool:
        assert process.poll() is None, platform.output.read_text()
        try:
            return requests.get(platform.url + "/ready", timeout=2).status_code == 200
        except requests.RequestException:  # the socket listens before anybody answers at it
            return False

    try:
        eventually(ready, f"{topology} is ready")
        yield platform
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
