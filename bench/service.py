"""What a request costs a service alone: services/customer beside the same on FastAPI (bench/peers/fastapi_service.py).

Both speak to the embedded Postgres of a folder made for this, and to the same rows: 100,000 customers in 100 tenants.
Both are shown an internal token, as the gateway would show one. They have to give the same answer before they are
measured.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from bench import peers
from bench.data import fill
from bench.fence import fence_cost
from bench.measure import Contestant, Figures, Load, measure, need
from bench.results import Row, amount

TENANTS, CUSTOMERS = 100, 100_000
PER_PAGE = 50
OURS, PEER = "customer", "FastAPI"
ROOT = Path(__file__).parents[1]
NEW = {
    "type": "company",
    "name": "Padaria Conceição",
    "emails": ["contato@padaria.example"],
    "phone": "(11) 98765-4321",
    "addresses": [{"street": "Avenida Paulista", "number": "1000", "city": "São Paulo", "postal_code": "01310100"}],
    "lifecycle_stage": "prospect",
    "tags": ["atacado"],
    "custom": {"dia_de_entrega": "terça-feira"},
}
PIECES = "Flask's contexts, composing statements in SQLAlchemy, checking and writing rows, the HTTP server: all Python"
POLICY = "the setting is read and the policy planned with each statement, whatever it finds"
TARGET = 0.9
AMBITIONS = {"GET one": 0.5, "list of 50": 0.35, "list of 50 by cursor": 0.35, "POST": 0.4}
UNLIKE = ("id", "created_at", "updated_at")  # of two new customers


@dataclass(frozen=True)
class Server:
    """One of the two, listening."""

    name: str
    address: str
    pid: int


@contextmanager
def servers(folder: Path) -> Iterator[tuple[Sequence[Server], str]]:
    """Postgres, our service by its own settings and the peer; and the URL from which Postgres is administered."""
    from alicerce.postgres import EmbeddedPostgres

    os.environ["ALICERCE_HOME"] = str(folder)
    postgres = EmbeddedPostgres(folder)
    started: list[subprocess.Popen[bytes]] = []
    try:
        url = postgres.start()
        subprocess.run([sys.executable, "-m", "alicerce", "prepare"], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        addresses = [_start(started, *words) for words in (_ours(), _peer(folder))]
        names = zip((OURS, PEER), addresses, started, strict=True)
        yield [Server(name, address, process.pid) for name, address, process in names], url
    finally:
        for process in started:
            process.terminate()
            process.wait()
        postgres.stop()


def _ours() -> tuple[list[str], str, Mapping[str, str]]:
    words = [sys.executable, "-m", "gunicorn", "-c", "python:kit.gunicorn", "services.customer:create_app()"]
    return [*words, "--bind"], "127.0.0.1:{port}", {}


def _peer(folder: Path) -> tuple[list[str], str, Mapping[str, str]]:
    from dotenv import dotenv_values

    url = dotenv_values(folder / "environment")["CUSTOMER_SERVICE_DATABASE_URL"] or ""
    settings = {
        "DATABASE_URL": url.replace("postgresql://", "postgresql+asyncpg://"),
        "KEYS": str(folder / "keys" / "public.json"),
    }
    words = [str(peers.python()), "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-server-header"]
    return [*words, "--app-dir", str(ROOT / "bench" / "peers"), "fastapi_service:app", "--port"], "{port}", settings


def _start(started: list[subprocess.Popen[bytes]], words: list[str], place: str, settings: Mapping[str, str]) -> str:
    """Start a program on a free port, wait until it answers anything, and say where."""
    port = _free_port()
    command = [*words, place.format(port=port)]
    # Each writes a line for a request, as in production: to nowhere.
    process = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.DEVNULL, cwd=ROOT)
    started.append(process)
    while True:
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=1)
            return f"http://127.0.0.1:{port}"
        except requests.RequestException:
            if process.poll() is not None:
                sys.exit(f"{' '.join(command)} ended.")
            time.sleep(0.05)


def _free_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def token(tenant_id: str) -> str:
    """An internal token of a person of this tenant, for longer than the gateway would sign one."""
    from kit import tokens

    claims = {
        "sub": str(uuid4()),
        "wl": False,
        "uid": str(uuid4()),
        "tid": tenant_id,
        "sid": str(uuid4()),
        "perms": ["customer:read", "customer:write"],
    }
    return tokens.keyring().sign("gateway", tokens.INTERNAL, 3600, claims)


def loads(server: Server, headers: Mapping[str, str]) -> dict[str, Load]:
    """The rows: what is asked of a server, by name."""
    base = f"{server.address}/customers"
    first = requests.get(f"{base}?per_page={PER_PAGE}", headers=headers, timeout=10).json()
    one, cursor = first["customers"][0]["id"], first["next_cursor"]
    return {
        "GET one": Load(f"{base}/{one}", headers=headers),
        "list of 50": Load(f"{base}?per_page={PER_PAGE}", headers=headers),
        "list of 50 by cursor": Load(f"{base}?per_page={PER_PAGE}&cursor={cursor}", headers=headers),
        "POST": Load(base, "POST", {**headers, "Content-Type": "application/json"}, json.dumps(NEW)),
    }


def check_alike(name: str, ours: Load, theirs: Load) -> None:
    """Exit unless both give the same answer: the same fields and values, and an ETag of the same form."""
    answers = [_answer(load) for load in (ours, theirs)]
    if answers[0] != answers[1]:
        sys.exit(f"{name} is not like for like:\n{answers[0]}\n{answers[1]}")


def _answer(load: Load) -> Any:
    answer = requests.request(load.method, load.url, headers=load.headers, data=load.body.encode(), timeout=10)
    body = answer.json()
    body.pop("next_cursor", None)  # each writes its own
    for name in UNLIKE if load.method == "POST" else ():
        body["customer"].pop(name)
    return answer.status_code, answer.headers.get("ETag"), body


def rows() -> Iterator[Row]:
    """Each request on ours as a share of the same on the peer, and what the fence around rows costs Postgres."""
    need("wrk", "taskset")
    tenant_id = str(uuid4())
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as (listening, url):
        fill(Path(name), tenant_id, tenants=TENANTS, customers=CUSTOMERS)
        yield from _compared(listening, {"Txn-Token": token(tenant_id)})
        share = fence_cost(url) * 100
        yield Row("RLS on a keyset list of 10⁶ rows", share, "%", target=15, ambition=5, why=POLICY)


def _compared(listening: Sequence[Server], headers: Mapping[str, str]) -> Iterator[Row]:
    """The one that writes comes last, so that the lists keep their length."""
    ours, theirs = (loads(server, headers) for server in listening)
    for name in ours:
        check_alike(name, ours[name], theirs[name])
        pairs = zip(listening, (ours[name], theirs[name]), strict=True)
        figures = measure([Contestant(server.name, load, [server.pid]) for server, load in pairs])
        yield _ratio(name, figures[OURS], figures[PEER])


def _ratio(name: str, ours: Figures, peer: Figures) -> Row:
    return Row(
        f"service, {name}: CPU beside {PEER}",
        ours.cpu_us / peer.cpu_us,
        "×",
        target=TARGET,
        ambition=AMBITIONS[name],
        versus=f"{amount(ours.cpu_us)} µs beside {amount(peer.cpu_us, 'µs')}",
        note=f"p50 {ours.p50_ms:.1f} ms beside {peer.p50_ms:.1f} ms",
        spread=max(ours.spread, peer.spread),
        noise=max(ours.foreign, peer.foreign),
        why=PIECES,
    )
