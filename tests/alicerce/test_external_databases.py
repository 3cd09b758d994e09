"""Databases that people bring work as the page says, or what they fault_ is said at once, with what mends it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from alicerce import access
from alicerce.access import Fault
from alicerce.postgres import EmbeddedPostgres
from kit.config import ConfigurationError
from tests.alicerce import external
from tests.alicerce.external import execute, insist
from tests.api import new_person
from tests.journeys import test_readme
from tests.topologies import ROOT, environment, free_ports, running

SMALL = 4

Faults = Callable[[], list[Fault]]


@pytest.fixture(scope="module")
def place(server: EmbeddedPostgres) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def everything(server: EmbeddedPostgres, place: str) -> Iterator[dict[str, str]]:
    """The variables of databases that were made for all services, with the SQL of the page."""
    yield external.made(server.url, place)
    external.dropped(server.url)


def command(home: Path, word: str, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "alicerce", word]
    variables = environment(home, {"gateway": free_ports(1)[0]}) | given
    return subprocess.run(line, cwd=ROOT, env=variables, check=False, capture_output=True, text=True)


def ask(url: str, query: str) -> Any:
    ((value,),) = execute(url, query)
    return value


# --- What the page says ----------------------------------------------------------------------------------------------


def test_databases_that_were_made_as_the_page_says_carry_the_story(
    server: EmbeddedPostgres, everything: dict[str, str], tmp_path: Path
) -> None:
    seen: list[int] = []
    roles = "'" + "', '".join(re.findall(r"//(\w+):", " ".join(everything.values()))) + "'"

    def look() -> None:
        seen.append(ask(server.url, f"SELECT count(*)::int FROM pg_stat_activity WHERE usename IN ({roles})"))

    external.prepare(tmp_path, everything)
    with running("solo", tmp_path, everything | {"DB_CONNECTIONS": str(SMALL)}) as platform:
        test_readme.test_the_story_of_the_readme_ends_as_it_says(platform)
        owner = new_person(platform.url)

        def use(number: int) -> int:
            customer = insist(lambda: owner.post("/api/customers/", {"name": f"Ana {number}"}))
            path = f"/api/customers/{customer.ok(201)['customer']['id']}/interactions"
            look()
            return insist(lambda: owner.post(path, {"ds_notes": "x", "id_interaction_type": "call"})).status

        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(use, range(64)))
        assert max(seen) <= 2 * SMALL  # a server process ends a little after its connection
        assert answers == [201] * len(answers)
        assert owner.get("/api/customers/?per_page=1").ok()["total"] == len(answers)


def test_tables_from_before_the_grants_are_granted_by_the_next_migration(
    server: EmbeddedPostgres, everything: dict[str, str], tmp_path: Path
) -> None:
    assert command(tmp_path, "migrate", everything).returncode == 0
    owner, app = everything["CUSTOMER_SERVICE_DATABASE_OWNER_URL"], everything["CUSTOMER_SERVICE_DATABASE_URL"]
    execute(
        owner,
        "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM customer_app;"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM customer_app;"
        "GRANT UPDATE (customer_id, changes) ON customer_change TO customer_app",
    )
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        execute(app, "SELECT * FROM customer_word")
    migrated = command(tmp_path, "migrate", everything)
    assert migrated.returncode == 0, migrated.stderr
    assert execute(app, "SELECT * FROM customer_word") == []
    for privilege, table, is_granted in (
        ("DELETE", "customer", True),
        ("INSERT", "customer_change", True),
        ("UPDATE", "customer_change", False),
        ("DELETE", "customer_change", False),
    ):
        assert ask(app, f"SELECT has_table_privilege('{table}', '{privilege}')") is is_granted
    assert ask(app, "SELECT has_column_privilege('customer_change', 'changes', 'UPDATE')")
    execute(owner, "CREATE TABLE later (id int)")
    assert ask(app, "SELECT count(*) FROM later") == 0


def test_what_is_said_about_one_url_makes_it_work(
    server: EmbeddedPostgres, everything: dict[str, str], tmp_path: Path
) -> None:
    place = f"127.0.0.1:{server.port}"
    one = f"postgresql+psycopg://single:change-me@{place}/single"
    execute(server.url, "CREATE ROLE single LOGIN PASSWORD 'change-me'; CREATE DATABASE single OWNER single")
    given = {name: url for name, url in everything.items() if not name.startswith("CUSTOMER")}
    execute(server.url, "ALTER ROLE customer_app RENAME TO aside; ALTER ROLE customer_job RENAME TO aside_job")
    try:
        refused = command(tmp_path, "run", given | {"CUSTOMER_SERVICE_DATABASE_URL": one})
        assert refused.returncode == 1
        assert "customer has 1 of three database roles" in refused.stdout + refused.stderr
        said = [line.strip() for line in (refused.stdout + refused.stderr).splitlines()]
        execute(server.url, "".join(line.replace("…", "change-me") for line in said if line.endswith(";")))
        told = dict(line.replace("…", "change-me").split("=", 1) for line in said if line.startswith("CUSTOMER_"))
        assert len(told) == 3
        prepared = command(tmp_path, "prepare", given | told)
        assert prepared.returncode == 0, prepared.stderr
        assert ask(told["CUSTOMER_SERVICE_DATABASE_URL"], "SELECT count(*) FROM customer_word") == 0
    finally:
        execute(server.url, "DROP DATABASE single WITH (FORCE)")
        execute(server.url, "DROP ROLE IF EXISTS customer_app, customer_job, single")
        execute(server.url, "ALTER ROLE aside RENAME TO customer_app; ALTER ROLE aside_job RENAME TO customer_job")
        execute(
            server.url, "ALTER ROLE customer_app PASSWORD 'change-me-2'; ALTER ROLE customer_job PASSWORD 'change-me-3'"
        )


@pytest.mark.parametrize("word", ["run", "migrate", "doctor"])
def test_one_url_for_everything_is_refused_and_says_what_to_write_instead(
    server: EmbeddedPostgres, tmp_path: Path, word: str
) -> None:
    url = server.url.replace("postgresql://", "postgresql+psycopg://")
    given = {"DATABASE_URL": url} | ({"DATABASE_SERVER_URL": server.url} if word == "migrate" else {})
    refused = command(tmp_path, word, given)
    assert refused.returncode == 1
    said = refused.stdout + refused.stderr
    assert "DATABASE_URL is one database and one role for everything" in said
    assert f"DATABASE_SERVER_URL={server.url.partition('postgres:')[0]}postgres:…@" in said
    assert server.url not in said


# --- What is missing -------------------------------------------------------------------------------------------------


@pytest.fixture
def faults(
    server: EmbeddedPostgres, place: str, everything: dict[str, str], generated: Path, monkeypatch: pytest.MonkeyPatch
) -> Faults:
    """Return the present faults of customer's database."""
    for name in [name for name in os.environ if "_SERVICE_" in name or name == "DATABASE_URL"]:
        monkeypatch.delenv(name)
    for name, url in everything.items():
        monkeypatch.setenv(name, url)
    return lambda: access.faults(["customer"])


FAULTS = {
    "ALTER ROLE customer_app SUPERUSER": "customer_app has powers",
    "ALTER ROLE customer_app BYPASSRLS": "customer_app has powers",
    "ALTER ROLE customer_job CREATEROLE": "customer_job has powers",
    "GRANT customer_owner TO customer_app": "customer_app is a member of customer_owner",
    "CREATE TABLE stray (); ALTER TABLE stray OWNER TO customer_app": "customer_app owns customer_db or tables in it",
    "ALTER DATABASE customer_db OWNER TO customer_app; GRANT CONNECT ON DATABASE customer_db TO customer_owner;"
    "ALTER SCHEMA public OWNER TO customer_owner": "customer_app owns customer_db or tables in it",
    "ALTER SCHEMA public OWNER TO postgres": "customer_owner may not make tables in the schema public",
    "ALTER SCHEMA public OWNER TO postgres; GRANT CREATE ON SCHEMA public TO PUBLIC": "may make tables in the schema",
    "ALTER SCHEMA public OWNER TO postgres; GRANT ALL ON SCHEMA public TO customer_owner;"
    "REVOKE ALL ON SCHEMA public FROM PUBLIC, customer_app, customer_job": "customer_job may not use the schema public",
    "DROP TABLE IF EXISTS alembic_version; CREATE TABLE alembic_version ()": "alembic_version of customer_db does not",
}
REPAIRED = """
    ALTER DATABASE customer_db OWNER TO customer_owner;
    GRANT CONNECT ON DATABASE customer_db TO customer_app, customer_job;
    ALTER SCHEMA public OWNER TO pg_database_owner;
    REVOKE ALL ON SCHEMA public FROM PUBLIC, customer_owner, customer_app, customer_job;
    GRANT ALL ON SCHEMA public TO pg_database_owner;
    GRANT USAGE ON SCHEMA public TO PUBLIC;
    DROP TABLE IF EXISTS stray
"""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_mended_by_the_sql_beside_it(server: EmbeddedPostgres, faults: Faults, fault: str) -> None:
    admin = server.url.rpartition("/")[0] + "/customer_db"
    assert faults() == []
    execute(admin, fault)
    try:
        found = faults()
        assert FAULTS[fault] in " ".join(fault_.message for fault_ in found)
        with pytest.raises(ConfigurationError, match=r"docs/databases\.md"):
            access.check(["customer"])
        execute(admin, "".join(fault_.mend for fault_ in found))
        assert faults() == []
    finally:
        execute(admin, REPAIRED)


def test_a_role_whose_name_the_policies_would_take_for_another_is_named(
    server: EmbeddedPostgres, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(server.url, "ALTER ROLE customer_job RENAME TO worker; ALTER ROLE worker PASSWORD 'change-me-3'")
    url = os.environ["CUSTOMER_SERVICE_DATABASE_JOB_URL"].replace("customer_job:", "worker:")
    monkeypatch.setenv("CUSTOMER_SERVICE_DATABASE_JOB_URL", url)
    (fault_,) = faults()
    assert "worker is named in CUSTOMER_SERVICE_DATABASE_JOB_URL" in fault_.message
    execute(server.url, fault_.mend + "ALTER ROLE customer_job PASSWORD 'change-me-3'")
    monkeypatch.setenv("CUSTOMER_SERVICE_DATABASE_JOB_URL", url.replace("worker:", "customer_job:"))
    assert faults() == []


@pytest.mark.parametrize(
    ("variable", "old", "new", "reason"),
    [
        ("_URL", "change-me-2", "wrong", "password authentication failed"),
        ("_OWNER_URL", "/customer_db", "/nothing_db", 'database "nothing_db" does not exist'),
        ("_JOB_URL", "customer_job", "stranger_job", "password authentication failed"),
    ],
)
def test_a_url_that_leads_nowhere_is_named_with_its_reason_and_without_its_password(
    faults: Faults, monkeypatch: pytest.MonkeyPatch, variable: str, old: str, new: str, reason: str
) -> None:
    name = f"CUSTOMER_SERVICE_DATABASE{variable}"
    monkeypatch.setenv(name, os.environ[name].replace(old, new))
    (fault_,) = faults()
    assert name in fault_.message
    assert reason in fault_.message
    assert "change-me" not in fault_.message + fault_.mend
    assert "CREATE ROLE" in fault_.mend


def test_two_urls_are_too_few(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUSTOMER_SERVICE_DATABASE_JOB_URL")
    (fault_,) = faults()
    assert "customer has 2 of three database roles" in fault_.message


def test_a_database_in_another_encoding_is_named(
    server: EmbeddedPostgres, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(
        server.url,
        "CREATE DATABASE latin_db OWNER customer_owner TEMPLATE template0 ENCODING 'LATIN1'"
        " LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    for name in [name for name in os.environ if name.startswith("CUSTOMER_SERVICE_DATABASE_")]:
        monkeypatch.setenv(name, os.environ[name].replace("/customer_db", "/latin_db"))
    (fault_,) = faults()
    assert "holds texts in LATIN1" in fault_.message
    execute(server.url, "DROP DATABASE latin_db WITH (FORCE)")
