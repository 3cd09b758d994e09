"""Whether what is asked costs more when there is more: rows of a tenant, tenants, routes of the gateway."""

import tempfile
import timeit
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2

from alicerce.postgres import EmbeddedPostgres
from bench.client import Client
from bench.data import name_of
from bench.measure import Contestant, Figures, Load, measure
from bench.platform import Platform, platform
from bench.results import Row, amount
from gateway import routes

SIZES = (10_000, 100_000, 1_000_000)
TENANTS = (10, 100, 1_000)
ROWS_OF_EACH = 100
ROUTES = (10, 100, 1_000)
GROWN = 1.5  # times the median of the smallest
NAMES = 2_100  # after so many, first and last names come again in the same pairs
BEGINNINGS = "search by the beginnings of three words"
QUERIES = {
    "list of 50, first page": "",
    "list of 50, by cursor": "&cursor=CURSOR",
    "search by an e-mail address": "&search=c9999%40example.com",
    "search of one in ten": "&search=conceicao",
    BEGINNINGS: "&search=ana+sou+77",
}
GROWING = {BEGINNINGS: "77… has 111 entries, and 11,111: all are read, sorted and looked up for the exact total"}
ROUNDS = 3

CUSTOMERS = """
    INSERT INTO customer (tenant_id, id, type, name, emails, phones, addresses, lifecycle_stage, tags, consents, custom,
                          is_active, created_at, updated_at, version)
    SELECT %(tenant)s, uuidv7(), 'person', (%(names)s::text[])[n %% %(period)s + 1] || ' ' || n,
           jsonb_build_array('c' || n || '@example.com'), '[]', '[]', 'lead', '[]', '{}', '{}',
           true, moment, moment, 1
    FROM (SELECT n, timestamptz '2026-01-01Z' + n * interval '1 second' AS moment
          FROM generate_series(0, %(count)s - 1) n)
"""
WORDS = """
    INSERT INTO customer_word (tenant_id, word, record_id)
    SELECT tenant_id, word, id
    FROM customer, unnest(string_to_array(translate(lower(name), 'áãçéêíõ', 'aaceeio'), ' ')
                          || split_part(emails ->> 0, '@', 1) || '{example,com}'::text[]) AS word
    WHERE tenant_id = %(tenant)s
"""
KEYS = """
    INSERT INTO customer_key (tenant_id, key, record_id)
    SELECT tenant_id, 'email:' || (emails ->> 0), id FROM customer
    WHERE tenant_id = %(tenant)s
"""


def rows() -> Iterator[Row]:
    """Lists and searches of tenants of three sizes, and as tenants come; the gateway's look-up as its table grows."""
    with tempfile.TemporaryDirectory() as name, platform(Path(name) / "generated", "solo") as running:
        yield from _tenants_rows(running)
        yield from _sizes_rows(running)
    yield from _routes_rows()


def _sizes_rows(running: Platform) -> Iterator[Row]:
    """The three tenants are in one database, so that rounds of all can alternate."""
    clients = {size: Client(running.address, f"{size}@example.com") for size in SIZES}
    for size, client in clients.items():
        add(running.folder, client.tenant_id, size)
    analyse(running.folder)
    for name, query in QUERIES.items():
        contestants = [_asking(running, client, f"{name}, {size:,} rows", query) for size, client in clients.items()]
        figures = list(measure(contestants, rounds=ROUNDS).values())
        yield from (_median(each) for each in figures)
        first, last = figures[0], figures[-1]
        yield Row(
            f"{name}: p50 from {SIZES[0]:,} to {SIZES[-1]:,} rows",
            last.p50_ms / first.p50_ms,
            "×",
            target=GROWN,
            ambition=1.0,
            note=f"CPU, Postgres's too: {last.cpu_us / first.cpu_us:.2f} ×",
            why=GROWING.get(name, "deeper indexes, and totals that are counted up to 10,000"),
            noise=max(first.foreign, last.foreign),
        )


def _tenants_rows(running: Platform) -> Iterator[Row]:
    client = Client(running.address, "one-of-many@example.com")
    others = 0
    for tenants in TENANTS:
        for _ in range(tenants - others):
            add(running.folder, client.tenant_id if others == 0 else str(uuid4()), ROWS_OF_EACH)
            others += 1
        analyse(running.folder)
        name = f"list of 50, {tenants:,} tenants of {ROWS_OF_EACH}"
        yield from map(_median, measure([_asking(running, client, name, "")], rounds=ROUNDS).values())


def _asking(running: Platform, client: Client, name: str, query: str) -> Contestant:
    """One who asks for a page, one request after another. `CURSOR` in the query is the cursor after the first page."""
    path = "/api/customers?per_page=50"
    query = query.replace("CURSOR", str(client.ask("GET", path)["next_cursor"]))
    load = Load(f"{running.address}{path}{query}", headers=client.headers, concurrency=1)
    return Contestant(name, load, [running.pid], with_postgres=True)


def _median(figures: Figures) -> Row:
    note = f"CPU, Postgres's too: {amount(figures.cpu_us, 'µs')}"
    return Row(f"{figures.name}: p50", figures.p50_ms, "ms", note=note, spread=figures.spread, noise=figures.foreign)


def add(folder: Path, tenant_id: str, count: int) -> None:
    """Give a tenant so many customers, past the API and all triggers."""
    given = {"tenant": tenant_id, "count": count, "period": NAMES}
    given["names"] = [name_of(number).rpartition(" ")[0] for number in range(NAMES)]
    with closing(_connect(folder)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # foreign keys hold by construction
        for statement in (CUSTOMERS, WORDS, KEYS):
            cursor.execute(statement, given)


def analyse(folder: Path) -> None:
    """Do what autovacuum would do within a minute."""
    with closing(_connect(folder)) as connection:
        connection.autocommit = True
        connection.cursor().execute("VACUUM ANALYZE customer, customer_word, customer_key")


def _connect(folder: Path) -> Any:
    """As the superuser, whom no policy holds up."""
    return psycopg2.connect(EmbeddedPostgres(folder).url.rpartition("/")[0] + "/customer_db")


def _routes_rows() -> Iterator[Row]:
    for count in ROUTES:
        lines = "\n".join(f"GET /noun{number}\nGET /noun{number}/<id>" for number in range(count // 2))
        root = routes.build((routes.Door("customer", ("/api",), lines),))
        path = f"/api/noun{count // 2 - 1}/0198a000-0000-7000-8000-000000000000"
        timer = timeit.Timer(lambda root=root, path=path: routes.find(root, path))
        yield Row(f"gateway's look-up among {count:,} routes", min(timer.repeat(5, 20_000)) / 20_000 * 1e6, "µs")
