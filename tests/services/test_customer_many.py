"""A tenant with more customers than anybody counts."""

import os

import psycopg2

from tests.api import Person

MANY = 20_050
INSERT = """
    INSERT INTO customer (tenant_id, id, type, name, emails, phones, addresses, lifecycle_stage, tags, consents, custom,
                          is_active, created_at, updated_at, version)
    SELECT %s, gen_random_uuid(), 'person', 'Person ' || n, '[]', '[]', '[]', 'lead', '[]', '{}', '{}',
           true, now(), now(), 1
    FROM generate_series(1, %s) AS n
"""
# Each is a person; some few have a number that begins with 777, and half of all are odd.
WORDS = """
    INSERT INTO customer_word (tenant_id, word, record_id)
    SELECT tenant_id, word, id
    FROM customer, LATERAL (SELECT split_part(name, ' ', 2) AS n) AS number,
         unnest(ARRAY['person', n] || CASE WHEN n::int %% 2 = 1 THEN ARRAY['odd'] END) AS word
    WHERE tenant_id = %s
"""


def fill(tenant_id: str) -> None:
    """Write past the API, as the owner of the table, who is fenced like everybody."""
    connection = psycopg2.connect(os.environ["CUSTOMER_SERVICE_DATABASE_OWNER_URL"])
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.tenant_id', %s, true)", (tenant_id,))
            cursor.execute(INSERT, (tenant_id, MANY))
            cursor.execute(WORDS, (tenant_id,))
            cursor.execute("ANALYZE customer, customer_word")
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


def test_a_search_that_finds_more_than_ten_thousand_says_so_too(owner: Person) -> None:
    fill(owner.tenant_id)

    def total(query: str) -> tuple[int, bool]:
        page = owner.get(f"/api/customers/?per_page=100&{query}").ok()
        assert len(page["customers"]) == min(page["total"], 100)
        return page["total"], page["total_exact"]

    for query in ("search=perso", "search=odd", "search=person+perso"):
        many, is_exact = total(query)
        assert (many > 10_000, is_exact) == (True, False), query
    assert total("search=777") == (11, True)
    assert total("search=person+777+odd") == total("search=777+odd+person") == (6, True)
    assert total("search=odd+1") == (5_556, True)  # neither is rare
    assert total("search=person&filter[type]=company") == (0, True)
    owner.delete(f"/api/customers/{owner.get('/api/customers/?search=777').ok()['customers'][0]['id']}").ok()
    assert total("search=777") == (10, True)
    assert total("search=777&active_only=false") == (11, True)
