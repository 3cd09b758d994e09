"""Every database is asked what it is: each rule of `catalogue.py` holds in each, and notices a breach."""

from collections.abc import Callable
from typing import Any

import pytest

from alicerce.services import services
from tests.security import catalogue as rules
from tests.security.catalogue import RULES, Rule, asked

# Each can be made whatever rows other tests left behind.
BREACHES = (
    (rules.tables_are_known, "CREATE VIEW everybody AS SELECT * FROM customer"),
    (rules.tables_are_known, "CREATE TABLE forgotten (tenant_id uuid)"),
    (rules.tables_are_fenced, "ALTER TABLE customer NO FORCE ROW LEVEL SECURITY"),
    (rules.tables_are_fenced, "ALTER TABLE customer_word DISABLE ROW LEVEL SECURITY"),
    (rules.policies_say_what_models_say, "DROP POLICY fence ON customer"),
    (rules.policies_say_what_models_say, "CREATE POLICY wide ON customer USING (true)"),
    (rules.policies_say_what_models_say, "ALTER POLICY fence ON customer USING (true)"),
    (rules.roles_have_no_powers, "ALTER ROLE customer_owner SET row_security TO off"),
    (rules.grants_are_narrow, "GRANT SELECT ON customer TO PUBLIC"),
    (rules.grants_are_narrow, "GRANT TRUNCATE ON customer TO customer_app"),
    (rules.grants_are_narrow, "GRANT SELECT (cells) ON customer_import_row TO customer_job"),
    (rules.nobody_creates, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC"),
    (rules.keys_lead_with_the_fence, "CREATE UNIQUE INDEX loud ON customer (email) WHERE false"),
    (rules.keys_lead_with_the_fence, "CREATE INDEX slow ON customer (tenant_id, tags)"),
    (rules.fences_are_never_null, "ALTER TABLE replay DROP CONSTRAINT pk_replay, ALTER tenant_id DROP NOT NULL"),
    (
        rules.foreign_keys_carry_the_fence,
        "CREATE UNIQUE INDEX one ON customer (id); ALTER TABLE customer_change ADD CONSTRAINT loose"
        " FOREIGN KEY (customer_id) REFERENCES customer (id) NOT VALID",
    ),
    (rules.nothing_steps_around, "CREATE FUNCTION peek() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_in_every_database(platform: Any, rule: Rule, tally: Callable[..., None]) -> None:
    found = []
    for service in services():
        with asked(service) as catalogue:
            found += [f"{service}: {breach}" for breach in rule(catalogue)]
    tally("catalogue lint", tried=len(services()), bad=len(found))
    assert not found


@pytest.mark.parametrize(("rule", "change"), BREACHES, ids=[change for _, change in BREACHES])
def test_a_breach_is_noticed(platform: Any, rule: Rule, change: str) -> None:
    with asked("customer", change) as catalogue:
        assert list(rule(catalogue))


def test_every_rule_has_a_breach() -> None:
    assert {rule for rule, _ in BREACHES} == {*RULES}
