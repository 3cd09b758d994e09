"""The processes of a platform that a test started, as its own record names them, and what is done to them."""

import os
import signal
from pathlib import Path

from alicerce.children import recorded
from tests.topologies import Running, eventually


def pid_of(platform: Running, name: str) -> int:
    """The living process that the supervisor started under this name, which may just be its successor."""

    def found() -> int:
        return next((p.pid for known, p, _, _ in recorded(platform.home) if known == name and p.alive()), 0)

    return eventually(found, f"{name} runs")


def whole(platform: Running, name: str) -> list[int]:
    """A component with its web processes."""
    return [pid_of(platform, name), *workers_of(platform, name)]


def workers_of(platform: Running, name: str) -> list[int]:
    """The web processes of a component: the children of its gunicorn."""
    master = pid_of(platform, name)
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def kill(*pids: int) -> None:
    """`kill -9`."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
