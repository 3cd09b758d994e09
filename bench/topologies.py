"""What the platform adds to a service in the same process. What a hop adds is in `bench.gateway`."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.client import Client
from bench.data import fill
from bench.measure import Contestant, Figures, Load, measure
from bench.platform import ROOT, Platform, free_ports, is_ready, platform
from bench.results import Row, amount

TENANTS, CUSTOMERS = 10, 10_000
LIST = "?per_page=50"
RULES = "the gateway's steps: 44 µs warm, 110 to 180 among a service's work, up to 500 after a list; none stands out"
SOLO_CONCURRENCY = 4  # fewer than the gateway lets wait for one service


def rows() -> Iterator[Row]:
    """Solo beside the bare service, by CPU per request."""
    with tempfile.TemporaryDirectory() as name, platform(Path(name) / "generated", "solo") as running:
        client = Client(running.address, "bench@example.com")
        fill(running.folder, client.tenant_id, tenants=TENANTS, customers=CUSTOMERS)
        yield from _solo_rows(running, client)


def _solo_rows(running: Platform, client: Client) -> Iterator[Row]:
    with bare_service(running, "customer") as (port, pid):
        for name, path in _paths(client).items():
            through = Load(f"{running.address}/api{path}", headers=client.headers, concurrency=SOLO_CONCURRENCY)
            shown = client.internal(running.folder)
            direct = Load(f"http://127.0.0.1:{port}{path}", headers=shown, concurrency=SOLO_CONCURRENCY)
            solo = Contestant(f"solo, {name}", through, [running.processes()["solo"]])
            bare = Contestant(f"bare service, {name}", direct, [pid])
            figures = measure([solo, bare])
            yield _ratio(name, figures[solo.name], figures[bare.name])


def _ratio(name: str, solo: Figures, bare: Figures) -> Row:
    return Row(
        f"solo, {name}: CPU beside the bare service app",
        solo.cpu_us / bare.cpu_us,
        "×",
        target=1.15,
        ambition=1.05,
        versus=f"{amount(solo.cpu_us)} µs beside {amount(bare.cpu_us, 'µs')}",
        spread=max(solo.spread, bare.spread),
        noise=max(solo.foreign, bare.foreign),
        why=RULES,
    )


def _paths(client: Client) -> Mapping[str, str]:
    """What is asked, as the service names it."""
    first = client.ask("GET", f"/api/customers{LIST}")["customers"][0]
    return {"GET one": f"/customers/{first['id']}", "list of 50": f"/customers{LIST}"}


@contextmanager
def bare_service(running: Platform, noun: str) -> Iterator[tuple[int, int]]:
    """One service of a running platform once more, alone under the same gunicorn: its port and process id."""
    port = free_ports(noun)[noun]
    words = [sys.executable, "-m", "gunicorn", "-c", "python:kit.gunicorn", "--bind", f"127.0.0.1:{port}"]
    environment = {**os.environ, **running.environment}
    process = subprocess.Popen([*words, f"services.{noun}:create_app()"], cwd=ROOT, env=environment)
    try:
        while not is_ready(port):
            if process.poll() is not None:
                sys.exit(f"{noun} did not start alone.")
            time.sleep(0.02)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()
