"""What row-level security costs a page deep in a list of a million rows, in Postgres itself."""

import statistics
import time
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2

ROWS = 1_000_000
REPETITIONS = 2000
PAGE = """
    SELECT id, name, email, emails, phone, tags, is_active, created_at, updated_at, version FROM customer
    WHERE {criterion} is_active AND (created_at, id) > (%(moment)s, %(id)s) ORDER BY created_at, id LIMIT 51
"""
FILL = """
    INSERT INTO customer (tenant_id, id, type, name, email, emails, phones, addresses, lifecycle_stage, tags, consents,
        custom, is_active, created_at, updated_at, version)
    SELECT %(tenant)s, gen_random_uuid(), 'person', 'Ana Souza ' || n, 'c' || n || '@example.com', '[]', '[]', '[]',
        'lead', '[]', '{}', '{}', true, moment, moment, 1
    FROM generate_series(1, %(rows)s) AS n, LATERAL (SELECT now() - n * interval '1 second' AS moment) AS at
"""


def fence_cost(admin_url: str) -> float:
    """By how much the policy slows a page down, as a share, beside the criterion written out by a role that bypasses
    the policy: both in one session, in turns, so that what changes on the machine meets both."""
    tenant_id = str(uuid4())
    with closing(psycopg2.connect(admin_url.rpartition("/")[0] + "/customer_db")) as connection:
        cursor = connection.cursor()
        _prepare(cursor, tenant_id)
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE customer")
        connection.autocommit = False
        place = _middle(cursor, tenant_id)
        fenced = PAGE.format(criterion=""), "customer_app"
        written_out = PAGE.format(criterion="tenant_id = %(tenant)s AND"), "customer_bench"
        times: dict[str, list[float]] = {"customer_app": [], "customer_bench": []}
        for turn in range(REPETITIONS):
            for query, role in (fenced, written_out) if turn % 2 else (written_out, fenced):
                cursor.execute(f"SET ROLE {role}; SELECT set_config('app.tenant_id', %s, true)", (tenant_id,))
                began = time.perf_counter()
                cursor.execute(query, place)
                times[role].append(time.perf_counter() - began)
                connection.rollback()
    return statistics.median(times["customer_app"]) / statistics.median(times["customer_bench"]) - 1


def _prepare(cursor: Any, tenant_id: str) -> None:
    cursor.execute("CREATE ROLE customer_bench BYPASSRLS; GRANT SELECT ON customer TO customer_bench")
    cursor.execute(
        "SELECT nspname FROM pg_namespace JOIN pg_class ON pg_namespace.oid = relnamespace WHERE relname = 'customer'"
    )
    cursor.execute(f"GRANT USAGE ON SCHEMA {cursor.fetchone()[0]} TO customer_bench")
    cursor.execute(FILL, {"tenant": tenant_id, "rows": ROWS})


def _middle(cursor: Any, tenant_id: str) -> dict[str, Any]:
    query = "SELECT created_at, id FROM customer WHERE tenant_id = %s ORDER BY created_at, id OFFSET %s LIMIT 1"
    cursor.execute(query, (tenant_id, ROWS // 2))
    moment, id = cursor.fetchone()
    return {"tenant": tenant_id, "moment": moment, "id": id}
