"""Whether what is asked costs more when there is more: rows of a tenant, tenants, routes of the gateway."""

import tempfile
import timeit
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg2

from alicerce.postgres import EmbeddedPostgres
from bench.client import Client
from bench.data import name_of
from bench.measure import Contestant, Load, measure
from bench.platform import Platform, platform
from bench.results import Row
from gateway import routes

SIZES = (10_000, 100_000, 1_000_000)
TENANTS = (10, 100, 1_000)
ROWS_OF_EACH = 100
ROUTES = (10, 100, 1_000)
GROWN = 1.5  # times the median of the smallest
NAMES = 2_100  # after so many, first and last names come again in the same pairs
COMMON, RARE = "conceicao", "ana sou 77"

CUSTOMERS = """
    INSERT INTO customer (tenant_id, id, type, name, emails, phones, addresses, lifecycle_stage, tags, consents, custom,
                          is_active, created_at, updated_at, version)
    SELECT %(tenant)s, uuidv7(), 'person', (%(names)s::text[])[n %% %(period)s + 1] || ' ' || n,
           jsonb_build_array('c' || n || '@example.com'), '[]', '[]', 'lead', '[]', '{}', '{}',
           true, moment, moment, 1
    FROM (SELECT n, now() + n * interval '1 millisecond' AS moment FROM generate_series(%(first)s, %(last)s - 1) n)
"""
WORDS = """
    INSERT INTO customer_word (tenant_id, word, record_id)
    SELECT tenant_id, word, id
    FROM customer, unnest(string_to_array(translate(lower(name), 'áãçéêíõ', 'aaceeio'), ' ')
                          || split_part(emails ->> 0, '@', 1) || '{example,com}'::text[]) AS word
    WHERE tenant_id = %(tenant)s AND created_at >= now()
"""
KEYS = """
    INSERT INTO customer_key (tenant_id, key, record_id)
    SELECT tenant_id, 'email:' || (emails ->> 0), id FROM customer
    WHERE tenant_id = %(tenant)s AND created_at >= now()
"""


def rows() -> Iterator[Row]:
    """Lists and searches as one tenant grows and as tenants come; the gateway's look-up as its table grows."""
    with tempfile.TemporaryDirectory() as name, platform(Path(name) / "generated", "solo") as running:
        yield from _tenants_rows(running)
        yield from _sizes_rows(running)
    yield from _routes_rows()


def _sizes_rows(running: Platform) -> Iterator[Row]:
    client = Client(running.address, "grown@example.com")
    paths = {"list of 50, first page": "?per_page=50"}
    smallest: dict[str, float] = {}
    kept = 0
    for size in SIZES:
        add(running.folder, client.tenant_id, kept, size)
        kept = size
        cursor = client.ask("GET", "/api/customers?per_page=50")["next_cursor"]
        paths["list of 50, by cursor"] = f"?per_page=50&cursor={cursor}"
        paths["search, one word of many"] = f"?per_page=50&search={COMMON}"
        paths["search, the beginnings of three"] = f"?per_page=50&search={RARE.replace(' ', '+')}"
        for name, p50 in medians(running, client, paths).items():
            smallest.setdefault(name, p50)
            is_last = size == SIZES[-1]
            yield Row(f"{name}, {size:,} rows", p50, "ms")
            if is_last:
                growth = p50 / smallest[name]
                yield Row(f"{name}: p50 from {SIZES[0]:,} to {size:,} rows", growth, "×", target=GROWN, ambition=1.0)


def _tenants_rows(running: Platform) -> Iterator[Row]:
    client = Client(running.address, "one-of-many@example.com")
    add(running.folder, client.tenant_id, 0, ROWS_OF_EACH)
    paths = {"list of 50": "?per_page=50", "search": f"?per_page=50&search={COMMON}"}
    others = 1
    for tenants in TENANTS:
        for _ in range(tenants - others):
            add(running.folder, str(uuid4()), 0, ROWS_OF_EACH, analyse=False)
        others = tenants
        add(running.folder, client.tenant_id, 0, 0)
        for name, p50 in medians(running, client, paths).items():
            yield Row(f"{name}, {tenants:,} tenants of {ROWS_OF_EACH}", p50, "ms")


def medians(running: Platform, client: Client, paths: dict[str, str]) -> dict[str, float]:
    """Milliseconds of the median request by name, asked one after another over one connection."""
    contestants = [
        Contestant(name, Load(f"{running.address}/api/customers{path}", headers=client.headers, concurrency=1), [])
        for name, path in paths.items()
    ]
    return {name: figures.p50_ms for name, figures in measure(contestants, rounds=3).items()}


def add(folder: Path, tenant_id: str, first: int, last: int, *, analyse: bool = True) -> None:
    """Give a tenant the customers from `first` to below `last`, past the API and all triggers, as the superuser."""
    url = EmbeddedPostgres(folder).url.rpartition("/")[0] + "/customer_db"
    given = {"tenant": tenant_id, "first": first, "last": last, "period": NAMES}
    given["names"] = [name_of(number).rpartition(" ")[0] for number in range(NAMES)]
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # foreign keys hold by construction
        for statement in (CUSTOMERS, WORDS, KEYS) if last > first else ():
            cursor.execute(statement, given)
    if analyse:
        connection.autocommit = True
        connection.cursor().execute("VACUUM ANALYZE customer, customer_word, customer_key")  # as autovacuum does soon
    connection.close()


def _routes_rows() -> Iterator[Row]:
    for count in ROUTES:
        lines = "\n".join(f"GET /noun{number}\nGET /noun{number}/<id>" for number in range(count // 2))
        root = routes.build((routes.Door("customer", ("/api",), lines),))
        path = f"/api/noun{count // 2 - 1}/0198a000-0000-7000-8000-000000000000"
        timer = timeit.Timer(lambda root=root, path=path: routes.find(root, path))
        yield Row(f"gateway's look-up among {count:,} routes", min(timer.repeat(5, 20_000)) / 20_000 * 1e6, "µs")
