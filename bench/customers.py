"""The speed of many customers: importing a file, and searching and finding duplicates among all of one tenant."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.data import fill, name_of

IMPORTED = 50_000
KEPT = 100_000
DOUBLED = 1_000
SEARCHES = ("conceicao", "ana sou", "c9999", "example", "otavio antunes 7", "jo")


def file_of(rows: int) -> bytes:
    """A CSV file as a small company would have it."""
    lines = [
        f"{name_of(n)};i{n}@example.com;(11) 9{n:08d};ERP-{n};cliente|varejo;São Paulo;SP;01310-100"
        for n in range(rows)
    ]
    header = "name;email;phone;external_id;tags;address_city;address_state;address_postal_code"
    return "\n".join([header, *lines]).encode()


def import_rows(client: Any, folder: Path, show: Callable[[str, str], None]) -> None:
    """Print how fast a file of 50,000 comes in, and comes in again, beside COPY of as many bare rows."""
    copied = fill(folder, client.login("copy@example.com")["tenant_id"], tenants=1, customers=IMPORTED)
    client.login("import@example.com")
    file = file_of(IMPORTED)
    for name in ("import of 50,000 customers", "the same file again"):
        started = time.perf_counter()
        done = _imported(client, file)
        seconds = time.perf_counter() - started
        show(name, f"{seconds:6.1f} s   {IMPORTED / seconds:8,.0f} rows/s   {seconds / copied:5.1f} x COPY   {done}")


def _imported(client: Any, file: bytes) -> Any:
    headers = client.headers | {"Content-Type": "text/csv"}
    answer = client.pool.request("POST", "/api/customers/import", body=file, headers=headers, timeout=30)
    path = f"/api/customers/imports/{answer.json()['import']['id']}"
    while (shown := client.ask("GET", path)["import"])["status"] in ("checking", "writing"):
        time.sleep(0.2)
    return shown["rows"]


def search_rows(client: Any, folder: Path, timed: Callable[..., Any], show: Callable[[str, str], None]) -> None:
    """Print the latency of searches and of the duplicates among 100,000 customers of one tenant."""
    tenant_id = client.login("many@example.com")["tenant_id"]
    fill(folder, tenant_id, tenants=1, customers=KEPT, doubled=DOUBLED)
    for words in SEARCHES:
        path = f"/api/customers/?per_page=20&search={words.replace(' ', '+')}"
        times = timed(lambda path=path: client.ask("GET", path))
        found = client.ask("GET", path)["total"]
        show(f"search “{words}” ({found:,} found)", f"p50 {times[len(times) // 2]:7.1f} ms   p95 {_p95(times):7.1f} ms")
    started = time.perf_counter()
    found = client.ask("GET", "/api/customers/duplicates?per_page=100")["total"]
    show(f"duplicates among {KEPT:,} ({found:,} groups)", f"{time.perf_counter() - started:6.2f} s")


def _p95(times: list[float]) -> float:
    return times[int(len(times) * 0.95) - 1]
