"""Start the platform in a folder of its own, and print what a newcomer and an operator feel.

Start-up from an empty folder and again, memory at rest, and a page of 50 among 100,000 customers in 100 tenants.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from bench.data import fill

PORT = 8093
ADDRESS = f"http://127.0.0.1:{PORT}"
ROUNDS = 200
TENANTS = 100
CUSTOMERS = 100_000


@contextmanager
def platform(folder: Path) -> Iterator[tuple[float, int]]:
    """The platform in solo; how many seconds it took to be ready, and the supervisor's process id."""
    environment = {**os.environ, "ALICERCE_HOME": str(folder), "GATEWAY_PORT": str(PORT), "LOG_LEVEL": "WARNING"}
    started = time.perf_counter()
    words = [sys.executable, "-m", "alicerce", "run", "--topology", "solo"]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not _ready():
            if process.poll() is not None:
                sys.exit("The platform ended; run `make run` to see why.")
            time.sleep(0.02)
        yield time.perf_counter() - started, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _ready() -> bool:
    try:
        return requests.get(f"{ADDRESS}/ready", timeout=2).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


def memory_mib(pid: int) -> float:
    """Proportional set size of a process and all its descendants: shared pages are counted once."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return own / 1024 + sum(memory_mib(int(child)) for child in children)


def login(session: requests.Session, email: str) -> Any:
    """Register if need be, log in, and keep the token in the session."""
    body = {"email": email, "password": "correct horse battery", "name": "Bench"}
    session.post(f"{ADDRESS}/auth/register", json=body, timeout=30)
    del body["name"]
    grant = session.post(f"{ADDRESS}/auth/login", json=body, timeout=30).json()
    session.headers["Authorization"] = f"Bearer {grant['access_token']}"
    return grant


def timed(action: Callable[[], requests.Response]) -> list[float]:
    """Milliseconds of each of many successful requests, sorted."""
    for _ in range(20):
        action().raise_for_status()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action().raise_for_status()
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)


def show(name: str, times: list[float]) -> None:
    """One row: median and 99th percentile."""
    print(f"{name:<58} p50 {statistics.median(times):7.1f} ms   p99 {times[int(len(times) * 0.99) - 1]:7.1f} ms")


def requests_rows(folder: Path) -> None:
    """Print the latency of a few requests over one connection, before and after the tables are filled."""
    session = requests.Session()
    grant = login(session, "bench@example.com")
    customers = f"{ADDRESS}/api/customers/"
    show("GET /auth/me", timed(lambda: session.get(f"{ADDRESS}/auth/me", timeout=10)))
    fill(folder, grant["tenant_id"], tenants=TENANTS, customers=CUSTOMERS)
    first = session.get(customers, params={"per_page": 50}, timeout=10).json()
    one = first["customers"][0]["id"]
    print(f"\n{CUSTOMERS:,} customers in {TENANTS} tenants; this one has {first['total']:,}")
    show("GET one customer", timed(lambda: session.get(customers + one, timeout=10)))
    show("list of 50, with total", timed(lambda: session.get(customers, params={"per_page": 50}, timeout=10)))
    deep = {"per_page": 50, "cursor": first["next_cursor"]}
    show("list of 50 by cursor", timed(lambda: session.get(customers, params=deep, timeout=10)))
    found = {"per_page": 50, "search": "conceicao"}
    show("search by a word", timed(lambda: session.get(customers, params=found, timeout=10)))
    show("POST a customer", timed(lambda: session.post(customers, json={"name": "New"}, timeout=10)))


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "generated"
        with platform(folder) as (seconds, _):
            print(f"{'first start: database, keys, tables, ready':<58} {seconds:11.1f} s")
        with platform(folder) as (seconds, pid):
            print(f"{'second start':<58} {seconds:11.1f} s")
            print(f"{'memory at rest, solo with Postgres (PSS)':<58} {memory_mib(pid):11.0f} MiB")
            requests_rows(folder)
            print(f"{'memory after that':<58} {memory_mib(pid):11.0f} MiB")


if __name__ == "__main__":
    main()
