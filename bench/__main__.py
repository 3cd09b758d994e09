"""Start the platform in a folder of its own, and print what a newcomer and an operator feel.

Start-up from an empty folder and again, memory at rest, a page of 50 among 100,000 customers in 100 tenants, searching
and finding duplicates among 100,000 of one tenant, and importing 50,000.
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
import urllib3

from bench.customers import import_rows, search_rows
from bench.data import fill

PORT = 8093
ADDRESS = f"http://127.0.0.1:{PORT}"
ROUNDS = 200
TENANTS = 100
CUSTOMERS = 100_000


@contextmanager
def platform(folder: Path) -> Iterator[tuple[float, int]]:
    """The platform in solo; how many seconds it took to be ready, and the supervisor's process id."""
    # Requests are counted as always, but nobody is refused: all of them come from one address.
    limits = {f"RATE_LIMIT_{name}": "1000000" for name in ("ADDRESS", "LOGIN", "USER", "TENANT")}
    ours = {"ALICERCE_HOME": str(folder), "GATEWAY_PORT": str(PORT), "LOG_LEVEL": "WARNING"}
    environment = {**os.environ, **limits, **ours}
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


class Client:
    """One kept connection without the comforts of requests, which would be a tenth of what is measured."""

    def __init__(self) -> None:
        self.pool = urllib3.HTTPConnectionPool("127.0.0.1", PORT, maxsize=1)
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of a successful answer."""
        answer = self.pool.request(method, path, headers=self.headers, timeout=30, retries=False, **options)
        if answer.status >= 400:
            sys.exit(f"{method} {path}: {answer.data.decode()}")
        return answer.json()

    def login(self, email: str) -> Any:
        """Register, log in, and keep the token."""
        body = {"email": email, "password": "correct horse battery"}
        self.ask("POST", "/auth/register", json=body)
        grant = self.ask("POST", "/auth/login", json=body)
        self.headers["Authorization"] = f"Bearer {grant['access_token']}"
        return grant


def timed(action: Callable[[], Any]) -> list[float]:
    """Milliseconds of each of many successful requests, sorted."""
    for _ in range(20):
        action()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)


def row(name: str, figures: str) -> None:
    """One row of any figures."""
    print(f"{name:<58} {figures}", flush=True)


def show(name: str, times: list[float]) -> None:
    """One row: median and 99th percentile."""
    print(f"{name:<58} p50 {statistics.median(times):7.1f} ms   p99 {times[int(len(times) * 0.99) - 1]:7.1f} ms")


def requests_rows(folder: Path) -> None:
    """Print the latency of a few requests over one connection, before and after the tables are filled."""
    client = Client()
    grant = client.login("bench@example.com")
    path = "/api/customers/"
    show("GET /auth/me", timed(lambda: client.ask("GET", "/auth/me")))
    fill(folder, grant["tenant_id"], tenants=TENANTS, customers=CUSTOMERS)
    first = client.ask("GET", f"{path}?per_page=50")
    print(f"\n{CUSTOMERS:,} customers in {TENANTS} tenants; this one has {first['total']:,}")
    show("GET one customer", timed(lambda: client.ask("GET", path + first["customers"][0]["id"])))
    show("list of 50, with total", timed(lambda: client.ask("GET", f"{path}?per_page=50")))
    cursor = f"{path}?per_page=50&cursor={first['next_cursor']}"
    show("list of 50 by cursor", timed(lambda: client.ask("GET", cursor)))
    show("search by a word", timed(lambda: client.ask("GET", f"{path}?per_page=50&search=conceicao")))
    show("POST a customer", timed(lambda: client.ask("POST", path, json={"name": "New"})))


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
            search_rows(Client(), folder, timed, row)
            import_rows(Client(), folder, row)
            print(f"{'memory after that':<58} {memory_mib(pid):11.0f} MiB")


if __name__ == "__main__":
    main()
