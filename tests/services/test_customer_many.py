"""A tenant with more customers than anybody counts."""

import os

import psycopg2

from tests.api import Person

MANY = 10_050
INSERT = """
    INSERT INTO customer (tenant_id, id, type, name, emails, phones, addresses, lifecycle_stage, tags, consents, custom,
                          is_active, created_at, updated_at, version)
    SELECT %s, gen_random_uuid(), 'person', 'Person ' || n, '[]', '[]', '[]', 'lead', '[]', '{}', '{}',
           true, now(), now(), 1
    FROM generate_series(1, %s) AS n
"""


def fill(tenant_id: str) -> None:
    """Write past the API, as the owner of the table, who is fenced like everybody."""
    connection = psycopg2.connect(os.environ["CUSTOMER_SERVICE_DATABASE_OWNER_URL"])
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.tenant_id', %s, true)", (tenant_id,))
            cursor.execute(INSERT, (tenant_id, MANY))
            cursor.execute("ANALYZE customer")
    finally:
        connection.close()


def test_beyond_ten_thousand_the_total_is_an_estimate_that_says_so(owner: Person, stranger: Person) -> None:
    fill(owner.tenant_id)
    page = owner.get("/api/customers/?per_page=100").ok()
    assert page["total_exact"] is False
    assert page["total"] > 10_000
    assert len(page["customers"]) == 100
    following = owner.get(f"/api/customers/?per_page=100&cursor={page['next_cursor']}").ok()
    assert not {c["id"] for c in page["customers"]} & {c["id"] for c in following["customers"]}
    counted = owner.get("/api/customers/?search=nobody").ok()
    assert (counted["total"], counted["total_exact"]) == (0, True)
    assert stranger.get("/api/customers/").ok()["total"] == 0
