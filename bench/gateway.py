"""What one hop through the gateway costs, beside gateways that others would write: FastAPI with httpx, aiohttp, nginx.

All get the same request with the same token and have the same static nginx behind them. Ours runs as in split, with
auth and tenant behind it, with every check, its limits and its log; nginx as a gateway checks nothing: it is the limit.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template
from typing import Any

import requests

from bench import peers
from bench.client import Client
from bench.measure import CLIENT_CORE, Contestant, Figures, Load, measure, pin
from bench.platform import free_ports, platform
from bench.results import Row, amount

HERE = Path(__file__).parent / "peers"
PATIENCE_S = 180.0
PATH = "/api/customers/0197a3c0-0000-7000-8000-00000000000c"
OURS, DIRECT, NGINX, FASTAPI, AIOHTTP = "gateway", "the service itself", "nginx", "FastAPI + httpx", "aiohttp + uvloop"
CUSTOMER = {
    "customer": {
        "id": "0197a3c0-0000-7000-8000-00000000000c",
        "name": "Padaria Conceição",
        "type": "company",
        "email": "contato@padaria.example",
        "document_type": "cnpj",
        "document": "12ABC34501DE35",
        "lifecycle_stage": "prospect",
        "is_active": True,
        "version": 1,
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z",
    }
}
ANSWERING = """server {
    listen 127.0.0.1:$port backlog=1024;
    location / { default_type application/json; add_header ETag '"1"'; return 200 '$answer'; }
}"""
PASSING = """upstream service { server 127.0.0.1:$upstream; keepalive 64; keepalive_requests 100000000; }
server {
    listen 127.0.0.1:$port backlog=1024;
    location /api/ { proxy_pass http://service/; proxy_http_version 1.1; proxy_set_header Connection ""; }
}"""
UVICORN = ("-m", "uvicorn", "fastapi_gateway:app", "--fd", "{}", "--loop", "uvloop", "--http", "httptools")
PEERS = {FASTAPI: (*UVICORN, "--no-access-log", "--log-level", "warning"), AIOHTTP: ("-m", "aiohttp_gateway", "{}")}
STEPS = "sockets 16 %, the answer 13, the log line 11, reading 8, the rest some sixty steps in Python; the peers' are C"
TURNS = "turns of 3 to 4 ms that other processes have on the two cores; 2 ms also without reading revocations"
# What a client waits longer, by how many ask at once: targets and ambitions in milliseconds at p50 and at p99.
ADDED = {1: ((1.0, 0.5), (3.0, 1.5)), 16: ((None, None), (None, None))}


def rows() -> Iterator[Row]:
    """CPU of the hop beside each peer's, and the time that it adds."""
    with contestants() as running:
        figures = measure(running)
        yield from _ratios(figures)
        yield from _added(16, figures)
        two = [each for each in running if each.name in (OURS, DIRECT)]
        yield from _added(1, measure([_alone(each) for each in two]))


def _ratios(figures: Mapping[str, Figures]) -> Iterator[Row]:
    ours, fastapi = figures[OURS], figures[FASTAPI]
    yield _ratio(
        f"hop: how many times less CPU than {FASTAPI}",
        (fastapi, ours),
        target=5.0,
        ambition=10.0,
        more_is_better=True,
    )
    yield _ratio(f"hop: CPU beside {NGINX} without checks", (ours, figures[NGINX]), target=20.0, ambition=10.0)
    yield _ratio(f"hop: CPU beside {AIOHTTP}", (ours, figures[AIOHTTP]), target=1.5, ambition=0.8)


def _ratio(name: str, two: tuple[Figures, Figures], **goals: Any) -> Row:
    first, second = two
    return Row(
        name,
        first.cpu_us / second.cpu_us,
        "×",
        versus=f"{amount(first.cpu_us)} µs beside {amount(second.cpu_us, 'µs')}",
        spread=max(first.spread, second.spread),
        noise=max(first.foreign, second.foreign),
        why=STEPS,
        **goals,
    )


def _added(concurrency: int, figures: Mapping[str, Figures]) -> Iterator[Row]:
    ours, direct = figures[OURS], figures[DIRECT]
    times = ((ours.p50_ms, direct.p50_ms), (ours.p99_ms, direct.p99_ms))
    for word, (hop, none), (target, ambition) in zip(("p50", "p99"), times, ADDED[concurrency], strict=True):
        yield Row(
            f"added by a hop, {word}, {concurrency} at a time",
            hop - none,
            "ms",
            target=target,
            ambition=ambition,
            versus=f"{amount(hop)} ms beside {amount(none, 'ms')}",
            spread=ours.spread,
            noise=ours.foreign,
            why=TURNS,
        )


def _alone(each: Contestant) -> Contestant:
    """The same with one connection."""
    load = Load(each.load.url, headers=each.load.headers, concurrency=1)
    return Contestant(each.name, load, each.pids)


@contextmanager
def process(words: Sequence[str], url: str, headers: Mapping[str, str], **options: Any) -> Iterator[int]:
    """A program from the first success at its address to its end; its process id."""
    started = subprocess.Popen(words, stdout=subprocess.DEVNULL, **options)
    try:
        _wait_for(started, url, headers)
        yield started.pid
    finally:
        started.terminate()
        started.wait()


def _wait_for(started: subprocess.Popen[bytes], url: str, headers: Mapping[str, str]) -> None:
    """Return when the address answers with success; exit when the program ended or takes too long."""
    given_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < given_up and started.poll() is None:
        try:
            if requests.get(url, headers=dict(headers), timeout=2).ok:
                return
        except requests.RequestException:  # it does not listen yet
            pass
        time.sleep(0.05)
    sys.exit(f"{url} does not answer with success.")


@contextmanager
def nginx(servers: str, path: str, port: int, **words: object) -> Iterator[int]:
    """An nginx with one worker process."""
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "nginx.conf"
        server = Template(servers).substitute(port=port, **words)
        conf.write_text(Template((HERE / "nginx.conf").read_text()).substitute(folder=folder, servers=server))
        with process(["nginx", "-c", str(conf)], f"http://127.0.0.1:{port}{path}", {}) as pid:
            yield pid


@contextmanager
def peer(name: str, folder: Path, upstream: int, headers: Mapping[str, str]) -> Iterator[Contestant]:
    """One of the peers in Python, listening on a descriptor that takes the place of `{}` in its words."""
    environment = {
        **os.environ,
        "PEER_UPSTREAM": f"http://127.0.0.1:{upstream}",
        "PEER_KEYS": str(folder / "keys"),
        "PYTHONPATH": str(HERE),
    }
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        number = listener.fileno()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
        command = [str(peers.python()), *(word.format(number) for word in PEERS[name])]
        with process(command, url, headers, env=environment, pass_fds=[number]) as pid:
            yield Contestant(name, Load(url, headers=headers), [pid])


@contextmanager
def contestants() -> Iterator[list[Contestant]]:
    """All gateways, running and ready for the same request at once; and what stands behind them, asked directly."""
    ports = free_ports("upstream", "limit")
    upstream, limit = ports["upstream"], ports["limit"]
    answer = json.dumps(CUSTOMER, ensure_ascii=False)
    with ExitStack() as running, tempfile.TemporaryDirectory() as name:
        pid = running.enter_context(nginx(ANSWERING, "/", upstream, answer=answer))
        pin([pid], CLIENT_CORE)
        # The line of each request is a part of what is measured, here and at the peers.
        settings = {"CUSTOMER_SERVICE_URL": f"http://127.0.0.1:{upstream}", "LOG_LEVEL": "INFO", "WEB_CONCURRENCY": "1"}
        ours = running.enter_context(platform(Path(name) / "generated", "split", **settings))
        pin([ours.pid], CLIENT_CORE)
        headers = Client(ours.address, "bench@example.com").headers
        found = [Contestant(OURS, Load(ours.address + PATH, headers=headers), [ours.processes()["gateway"]])]
        pid = running.enter_context(nginx(PASSING, PATH, limit, upstream=upstream))
        found.append(Contestant(NGINX, Load(f"http://127.0.0.1:{limit}{PATH}", headers=headers), [pid]))
        found += [running.enter_context(peer(name, ours.folder, upstream, headers)) for name in PEERS]
        found.append(Contestant(DIRECT, Load(f"http://127.0.0.1:{upstream}{PATH[4:]}", headers=headers), []))
        yield found
