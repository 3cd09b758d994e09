"""What the platform adds to a service: in one process with the gateway, and one hop behind it."""

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
SOLO_CONCURRENCY = 4  # fewer than the gateway lets wait for one service
# (concurrency) -> target and ambition of the added milliseconds, at p50 and at p99
HOP_LIMITS = {1: ((1.0, 0.5), (3.0, 1.5)), 16: ((None, None), (None, None))}


def rows() -> Iterator[Row]:
    """Solo beside the bare service, by CPU per request; a hop in split, by latency."""
    for topology, measured in (("solo", _solo_rows), ("split", _hop_rows)):
        with tempfile.TemporaryDirectory() as name, platform(Path(name) / "generated", topology) as running:
            client = Client(running.address, "bench@example.com")
            fill(running.folder, client.tenant_id, tenants=TENANTS, customers=CUSTOMERS)
            yield from measured(running, client)


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
    )


def _hop_rows(running: Platform, client: Client) -> Iterator[Row]:
    processes = running.processes()
    path = _paths(client)["GET one"]
    for concurrency, limits in HOP_LIMITS.items():
        through = Load(f"{running.address}/api{path}", headers=client.headers, concurrency=concurrency)
        address = f"http://127.0.0.1:{running.ports['customer']}{path}"
        direct = Load(address, headers=client.internal(running.folder), concurrency=concurrency)
        behind = Contestant(
            f"through the gateway, {concurrency}", through, [processes["gateway"], processes["customer"]]
        )
        alone = Contestant(f"directly, {concurrency}", direct, [processes["customer"]])
        figures = measure([behind, alone])
        yield from _added(concurrency, limits, figures[behind.name], figures[alone.name])


def _added(concurrency: int, limits: object, behind: Figures, alone: Figures) -> Iterator[Row]:
    times = ((behind.p50_ms, alone.p50_ms), (behind.p99_ms, alone.p99_ms))
    for word, (with_hop, without), (target, ambition) in zip(("p50", "p99"), times, limits, strict=True):
        yield Row(
            f"added by a hop, {word}, {concurrency} at a time",
            with_hop - without,
            "ms",
            target=target,
            ambition=ambition,
            versus=f"{amount(with_hop)} ms beside {amount(without, 'ms')}",
            spread=max(behind.spread, alone.spread),
            noise=max(behind.foreign, alone.foreign),
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
