"""What one hop through the gateway costs, beside gateways that others would write: FastAPI with httpx, aiohttp, nginx.

All get the same request with the same token and have the same static nginx behind them. Ours runs as in split, with
auth and tenant behind it, with every check, its limits and its log; nginx as a gateway checks nothing: it is the limit.
"""

import json
import os
import signal
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

from alicerce.children import recorded
from bench.measure import CLIENT_CORE, Contestant, Figures, Load, measure, need, pin

HERE = Path(__file__).parent / "peers"
ROOT = HERE.parents[1]
PATIENCE_S = 180.0
PATH = "/api/customers/0197a3c0-0000-7000-8000-00000000000c"
OURS, DIRECT, NGINX, FASTAPI, AIOHTTP = "alicerce", "the service itself", "nginx", "FastAPI + httpx", "aiohttp + uvloop"
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


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def process(words: Sequence[str], url: str, headers: Mapping[str, str], **options: Any) -> Iterator[int]:
    """A program from the first success at its address to its end; its process id."""
    started = subprocess.Popen(words, stdout=subprocess.DEVNULL, **options)
    try:
        wait_for(started, url, headers)
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait()


def wait_for(started: subprocess.Popen[bytes], url: str, headers: Mapping[str, str]) -> None:
    """Return when the address answers with success; exit when the program ended or takes too long."""
    given_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < given_up and started.poll() is None:
        try:
            if requests.get(url, headers=dict(headers), timeout=2).ok:
                return
        except requests.RequestException:  # it does not listen yet
            pass
        time.sleep(0.05)
    started.terminate()
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
def platform(folder: Path, upstream: int) -> Iterator[tuple[int, Path]]:
    """The platform in split, with this port in the place of the customer service; the gateway's port and the folder."""
    port = free_port()
    limits = {f"RATE_LIMIT_{name}": "1000000" for name in ("ADDRESS", "LOGIN", "USER", "TENANT")}
    services = ("auth", "tenant", "customer", "product", "interaction")
    ports = {f"{name.upper()}_SERVICE_PORT": str(free_port()) for name in services}
    ours = {
        "ALICERCE_HOME": str(folder),
        "GATEWAY_PORT": str(port),
        "CUSTOMER_SERVICE_URL": f"http://127.0.0.1:{upstream}",
        "WEB_CONCURRENCY": "1",
    }
    words = [sys.executable, "-m", "alicerce", "run", "--topology", "split"]
    environment = {**os.environ, **limits, **ports, **ours}
    with process(words, f"http://127.0.0.1:{port}/ready", {}, cwd=ROOT, env=environment) as pid:
        pin([pid], CLIENT_CORE)
        yield port, folder


def log_in(address: str) -> dict[str, str]:
    """Register, log in; the header that shows it."""
    body = {"email": "bench@example.com", "password": "correct horse battery"}
    requests.post(f"{address}/auth/register", json=body, timeout=30).raise_for_status()
    answer = requests.post(f"{address}/auth/login", json=body, timeout=30)
    answer.raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def peers_python() -> str:
    """The Python of the peers' own environment, which is made when it is not there or not what is wanted."""
    folder = ROOT / ".alicerce" / "peers"
    wanted, stamp = (HERE / "requirements.txt").read_text(), folder / "requirements.txt"
    python = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
        subprocess.run([*words, str(HERE / "requirements.txt")], check=True)
        stamp.write_text(wanted)
    return str(python)


@contextmanager
def peer(words: Sequence[str], folder: Path, upstream: int, headers: Mapping[str, str]) -> Iterator[Contestant]:
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
        command = [peers_python(), *(word.format(number) for word in words)]
        with process(command, url, headers, env=environment, pass_fds=[number]) as pid:
            yield Contestant("", Load(url, headers=headers), [pid])


UVICORN = ("-m", "uvicorn", "fastapi_gateway:app", "--fd", "{}", "--loop", "uvloop", "--http", "httptools")
PEERS = {FASTAPI: (*UVICORN, "--no-access-log", "--log-level", "warning"), AIOHTTP: ("-m", "aiohttp_gateway", "{}")}


@contextmanager
def contestants(names: Sequence[str]) -> Iterator[list[Contestant]]:
    """The gateways of these names, all running and ready for the same request at once."""
    need("wrk", "nginx", "taskset")
    upstream = free_port()
    answer = json.dumps(CUSTOMER, ensure_ascii=False)
    with ExitStack() as running, tempfile.TemporaryDirectory() as name:
        pid = running.enter_context(nginx(ANSWERING, "/", upstream, answer=answer))
        pin([pid], CLIENT_CORE)
        port, folder = running.enter_context(platform(Path(name), upstream))
        headers = log_in(f"http://127.0.0.1:{port}")
        gateway = next(known.pid for label, known, _, _ in recorded(folder) if label == "gateway")
        found = [Contestant(OURS, Load(f"http://127.0.0.1:{port}{PATH}", headers=headers), [gateway])]
        if NGINX in names:
            limit = free_port()
            pid = running.enter_context(nginx(PASSING, PATH, limit, upstream=upstream))
            found.append(Contestant(NGINX, Load(f"http://127.0.0.1:{limit}{PATH}", headers=headers), [pid]))
        for label, words in PEERS.items():
            if label in names:
                built = running.enter_context(peer(words, folder, upstream, headers))
                found.append(Contestant(label, built.load, built.pids))
        found.append(Contestant(DIRECT, Load(f"http://127.0.0.1:{upstream}{PATH[4:]}", headers=headers), []))
        yield found


def alone(each: Contestant) -> Contestant:
    """The same with one connection."""
    load = Load(each.load.url, headers=each.load.headers, concurrency=1)
    return Contestant(each.name, load, each.pids)


def show(figures: Mapping[str, Figures], concurrency: int) -> None:
    """A table of one run."""
    print(
        f"\nconcurrency {concurrency:<20} CPU µs  alicerce is  req/s   p50 ms   p99 ms"
        "  added p50  added p99  spread  noise"
    )
    direct, ours = figures[DIRECT], figures[OURS]
    for name, row in figures.items():
        ratio = f"{ours.cpu_us / row.cpu_us:8.2f} ×" if row.cpu_us else ""
        added = f"{row.p50_ms - direct.p50_ms:10.3f} {row.p99_ms - direct.p99_ms:10.3f}"
        print(
            f"{name:<32} {row.cpu_us:6.0f} {ratio:>12} {row.per_s:6.0f} {row.p50_ms:8.3f} {row.p99_ms:8.3f} {added}"
            f" {row.spread:6.0%} {row.foreign:6.0%}"
        )


def main() -> None:
    """Print both tables; names of contestants, rounds and seconds may be given."""
    names = [NGINX, FASTAPI, AIOHTTP] if len(sys.argv) < 2 else sys.argv[1].split(",")
    rounds, seconds = (int(word) for word in (sys.argv[2:4] or ("5", "2")))
    with contestants(names) as running:
        show(measure(running, rounds=rounds, seconds=seconds), 16)
        show(measure([alone(each) for each in running], rounds=rounds, seconds=seconds), 1)


if __name__ == "__main__":
    main()
