"""What running the platform costs: `make bench-ops`. Every figure stands beside its target.

Start-up from an empty folder and again, memory and processor time at rest in both topologies, a backup and a restore,
and the sizes of the virtual environment and of the images.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from alicerce.children import recorded
from alicerce.processes import memory_mib
from alicerce.services import services
from bench.sizes import image_rows, package_rows

RESTED_S = 5.0
IDLE_S = 10.0
TARGETS = {
    "start": "≤ 15 s",
    "solo": "≤ 256 MiB",
    "split": "≤ 2,560 MiB with 30 services",
    "idle": "≤ 2 % of one core",
    "restore": "≤ 300 s",
}


def row(name: str, figure: str, target: str = "") -> None:
    """One figure and what it should be."""
    print(f"{name:<50} {figure:>14}   {target}", flush=True)


@contextmanager
def platform(folder: Path, topology: str) -> Iterator[tuple[float, int, dict[str, str]]]:
    """A running platform: seconds until it was ready, the supervisor's process id, and its environment."""
    components = ("gateway", *services())
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in components}
    ports = {name: str(listener.getsockname()[1]) for name, listener in listeners.items()}
    for listener in listeners.values():
        listener.close()
    variables = {"GATEWAY_PORT" if name == "gateway" else f"{name.upper()}_SERVICE_PORT": ports[name] for name in ports}
    environment = {**os.environ, **variables, "ALICERCE_HOME": str(folder), "LOG_LEVEL": "WARNING"}
    started = time.perf_counter()
    words = [sys.executable, "-m", "alicerce", "run", "--topology", topology]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not _ready(ports["gateway"]):
            if process.poll() is not None:
                sys.exit("The platform ended; run `make run` to see why.")
            time.sleep(0.02)
        yield time.perf_counter() - started, process.pid, environment
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _ready(port: str) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/ready", timeout=2).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def processor_s(pid: int) -> float:
    """Processor time that a process and its descendants have used, in seconds."""
    ticks = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_rows(topology: str, folder: Path, pid: int) -> None:
    """Print the memory of the whole and of each process that is under supervision."""
    row(f"{topology}: memory at rest, with Postgres (PSS)", f"{memory_mib(pid) or 0:.0f} MiB", TARGETS[topology])
    for name, process, _, _ in recorded(folder):
        row(f"  {name}", f"{memory_mib(process.pid) or 0:.0f} MiB")


def idle_row(topology: str, pid: int) -> None:
    """Print the processor time of the whole while nobody asks anything."""
    before = processor_s(pid)
    time.sleep(IDLE_S)
    used = (processor_s(pid) - before) / IDLE_S
    row(f"{topology}: processor at rest, over {IDLE_S:.0f} s", f"{used:.1%} of a core", TARGETS["idle"])


def command_row(environment: dict[str, str], *words: str) -> None:
    """Print how long a command takes."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "alicerce", *words], env=environment, capture_output=True)
    seconds = time.perf_counter() - started
    row(f"{words[0]} of empty databases", "failed" if done.returncode else f"{seconds:.1f} s", TARGETS["restore"])


def topology_rows(topology: str) -> None:
    """Print what one topology costs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "generated"
        with platform(folder, topology) as (seconds, _, _):
            row(f"{topology}: first start, from an empty folder", f"{seconds:.1f} s", TARGETS["start"])
        with platform(folder, topology) as (seconds, pid, environment):
            row(f"{topology}: second start", f"{seconds:.1f} s", TARGETS["start"])
            time.sleep(RESTED_S)  # threads and pools of the start have settled
            memory_rows(topology, folder, pid)
            idle_row(topology, pid)
            if topology == "solo":
                command_row(environment, "backup")
        if topology == "solo":
            command_row(environment, "restore", "latest", "--force")  # refused while anybody is connected


def main() -> None:
    """Print the rows."""
    for topology in ("solo", "split"):
        topology_rows(topology)
    package_rows(row)
    image_rows(row)


if __name__ == "__main__":
    main()
