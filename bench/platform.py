"""The real platform in a folder of its own, on free ports, for as long as something is measured."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from dotenv import dotenv_values

from alicerce.children import recorded

ROOT = Path(__file__).resolve().parent.parent
MANY = "1000000"
LIMITS = ("ADDRESS", "LOGIN", "USER", "TENANT", "TENANT_SECONDS", "KEY")
# Requests are counted as always, but nobody is refused: all of them come from one address.
UNREFUSED = {f"RATE_LIMIT_{name}": MANY for name in LIMITS}


@dataclass(frozen=True)
class Platform:
    """A platform that is ready."""

    folder: Path
    topology: str
    ports: dict[str, int]
    pid: int  # the supervisor
    ready_s: float
    environment: dict[str, str]

    @property
    def address(self) -> str:
        """Where the gateway answers."""
        return f"http://127.0.0.1:{self.ports['gateway']}"

    def processes(self) -> dict[str, int]:
        """The process ids of what is under supervision, by name: `solo` or each component, and `postgres`."""
        return {name: process.pid for name, process, _, _ in recorded(self.folder)}

    def variables(self) -> dict[str, str]:
        """What `prepare` wrote for the components: the URLs of their databases."""
        return {name: value or "" for name, value in dotenv_values(self.folder / "environment").items()}


@contextmanager
def platform(folder: Path, topology: str, *, root: Path = ROOT, **variables: str) -> Iterator[Platform]:
    """Start the platform of a source tree; `variables` are added to its environment. Exits when it does not start."""
    ports = free_ports("gateway", *(path.parent.name for path in sorted(root.glob("services/*/app.py"))))
    chosen = {_port_variable(name): str(port) for name, port in ports.items()}
    ours = {"ALICERCE_HOME": str(folder), "LOG_LEVEL": "WARNING", **UNREFUSED, **chosen, **variables}
    environment = {**os.environ, **ours}
    words = [sys.executable, "-m", "alicerce", "run", "--topology", topology]
    started = time.perf_counter()
    process = subprocess.Popen(words, env=environment, cwd=root, stdout=subprocess.DEVNULL)
    try:
        while not is_ready(ports["gateway"]):
            if process.poll() is not None:
                sys.exit("The platform ended; run `make run` to see why.")
            time.sleep(0.02)
        yield Platform(folder, topology, ports, process.pid, time.perf_counter() - started, environment)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def free_ports(*names: str) -> dict[str, int]:
    """All are held until the last is found, so that no two are the same."""
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    ports = {name: int(listener.getsockname()[1]) for name, listener in listeners.items()}
    for listener in listeners.values():
        listener.close()
    return ports


def _port_variable(name: str) -> str:
    return "GATEWAY_PORT" if name == "gateway" else f"{name.upper()}_SERVICE_PORT"


def is_ready(port: int) -> bool:
    """Whether a component answers there that it can work."""
    try:
        return requests.get(f"http://127.0.0.1:{port}/ready", timeout=2).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


def copy_tree(folder: Path) -> Path:
    """A copy of the source tree that may be changed: what is installed and generated stays behind."""
    left = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs")
    return Path(shutil.copytree(ROOT, folder, ignore=left))
