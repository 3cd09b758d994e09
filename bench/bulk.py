"""The speed of many customers: importing a file, and searching and finding duplicates among all of one tenant."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.client import Client, median_row
from bench.data import fill, name_of
from bench.platform import platform
from bench.results import Row

IMPORTED = 50_000
KEPT = 100_000
DOUBLED = 1_000
SEARCHES = ("conceicao", "ana sou", "c9999", "example", "otavio antunes 7", "jo")


def rows() -> Iterator[Row]:
    """Searches and duplicates among 100,000 customers of one tenant; a file of 50,000 beside a bare COPY of as many."""
    with tempfile.TemporaryDirectory() as name, platform(Path(name) / "generated", "solo") as running:
        yield from _search_rows(running.address, running.folder)
        yield from _import_rows(running.address, running.folder)


def _search_rows(address: str, folder: Path) -> Iterator[Row]:
    client = Client(address, "many@example.com")
    fill(folder, client.tenant_id, tenants=1, customers=KEPT, doubled=DOUBLED)
    for words in SEARCHES:
        path = f"/api/customers/?per_page=20&search={words.replace(' ', '+')}"
        found = client.ask("GET", path)["total"]
        yield median_row(f"search “{words}” ({found:,} found)", lambda path=path: client.ask("GET", path))
    started = time.perf_counter()
    found = client.ask("GET", "/api/customers/duplicates?per_page=100")["total"]
    yield Row(f"duplicates among {KEPT:,} ({found:,} groups)", time.perf_counter() - started, "s")


def _import_rows(address: str, folder: Path) -> Iterator[Row]:
    copied = fill(folder, Client(address, "copy@example.com").tenant_id, tenants=1, customers=IMPORTED)
    client = Client(address, "import@example.com")
    file = file_of(IMPORTED)
    for name in (f"import of {IMPORTED:,} customers", "the same file again"):
        started = time.perf_counter()
        done = _imported(client, file)
        seconds = time.perf_counter() - started
        note = ", ".join(f"{count:,} {outcome}" for outcome, count in done.items() if count)
        yield Row(name, seconds, "s", versus=f"{seconds / copied:.1f} × COPY", note=note)


def file_of(rows: int) -> bytes:
    """A CSV file as a small company would have it."""
    lines = [
        f"{name_of(n)};i{n}@example.com;(11) 9{n:08d};ERP-{n};cliente|varejo;São Paulo;SP;01310-100"
        for n in range(rows)
    ]
    header = "name;email;phone;external_id;tags;address_city;address_state;address_postal_code"
    return "\n".join([header, *lines]).encode()


def _imported(client: Client, file: bytes) -> Any:
    begun = client.ask("POST", "/api/customers/import", body=file, headers={"Content-Type": "text/csv"})
    path = f"/api/customers/imports/{begun['import']['id']}"
    while (shown := client.ask("GET", path)["import"])["status"] in ("checking", "writing"):
        time.sleep(0.2)
    return shown["rows"]
