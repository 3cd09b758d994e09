"""What an operator feels: processor time at rest, a backup and a restore, the sizes of what is installed."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import cpu_s
from bench.platform import Platform, platform
from bench.results import Row
from bench.sizes import image_rows, package_rows

RESTED_S = 5.0
IDLE_S = 10.0
IDLE_PERCENT = 2.0
RESTORE_S = 300.0


def rows() -> Iterator[Row]:
    """Rest in both topologies, backup and restore of empty databases, packages and images."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "generated"
        with platform(folder, "split") as running:
            yield _idle_row(running)
        with platform(folder, "solo") as running:
            yield _idle_row(running)
            yield _command_row(running, "backup")
        yield _command_row(running, "restore", "latest", "--force")  # refused while anybody is connected
    yield from package_rows()
    yield from image_rows()


def _idle_row(running: Platform) -> Row:
    time.sleep(RESTED_S)  # threads and pools of the start have settled
    before = cpu_s([running.pid], with_postgres=True)
    time.sleep(IDLE_S)
    used = (cpu_s([running.pid], with_postgres=True) - before) / IDLE_S
    return Row(f"{running.topology}: processor at rest", used * 100, "% of a core", IDLE_PERCENT)


def _command_row(running: Platform, *words: str) -> Row:
    started = time.perf_counter()
    command = [sys.executable, "-m", "alicerce", *words]
    done = subprocess.run(command, env=running.environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{words[0]} failed: {done.stdout}{done.stderr}")
    return Row(f"{words[0]} of empty databases", time.perf_counter() - started, "s", RESTORE_S)
