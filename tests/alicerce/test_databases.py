"""One database and three roles per service, which cannot reach each other and own nothing."""

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest

from alicerce import databases, services
from alicerce.postgres import EmbeddedPostgres
from kit.config import ConfigurationError

SERVICES = ("auth", "customer")
Environment = dict[str, str]


def ask(url: str, *statements: str) -> Any:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


@pytest.fixture(scope="module")
def prepared(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALICERCE_HOME", str(tmp_path_factory.mktemp("generated")))
        for name in [name for name in os.environ if name.endswith("_SERVICE_DATABASE_URL")]:
            patch.delenv(name)
        yield databases.prepare(server.url, SERVICES)


def test_each_service_gets_three_urls_and_they_are_written_down(prepared: Environment) -> None:
    assert set(prepared) == {
        f"{service}_SERVICE_DATABASE_{word}URL" for service in ("AUTH", "CUSTOMER") for word in ("", "OWNER_", "JOB_")
    }
    path = Path(os.environ["ALICERCE_HOME"]) / "environment"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert dict(line.split("=", 1) for line in path.read_text().splitlines()) == prepared
    assert urlsplit(prepared["AUTH_SERVICE_DATABASE_URL"]).username == "auth_app"
    assert urlsplit(prepared["AUTH_SERVICE_DATABASE_OWNER_URL"]).username == "auth_owner"


def test_preparing_again_changes_nothing(server: EmbeddedPostgres, prepared: Environment) -> None:
    assert databases.prepare(server.url, SERVICES) == prepared


def test_two_may_prepare_at_once(server: EmbeddedPostgres, prepared: Environment) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda _: databases.prepare(server.url, (*SERVICES, "tenant")), range(4))
        assert all(prepared.items() <= result.items() for result in results)


def test_a_role_reaches_no_other_database(prepared: Environment) -> None:
    for name in (
        "AUTH_SERVICE_DATABASE_URL",
        "AUTH_SERVICE_DATABASE_OWNER_URL",
        "AUTH_SERVICE_DATABASE_JOB_URL",
    ):
        foreign = prepared[name].replace("/auth_db", "/customer_db")
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            psycopg2.connect(foreign)


def test_the_app_role_reads_and_writes_rows_and_makes_nothing(prepared: Environment) -> None:
    owner, app = prepared["AUTH_SERVICE_DATABASE_OWNER_URL"], prepared["AUTH_SERVICE_DATABASE_URL"]
    ask(owner, "DROP TABLE IF EXISTS thing", "CREATE TABLE thing (id serial, name text)")
    ask(app, "INSERT INTO thing (name) VALUES ('one')", "UPDATE thing SET name = 'two'")
    assert ask(app, "SELECT name FROM thing") == "two"
    for statement in ("CREATE TABLE mine ()", "DROP TABLE thing", "TRUNCATE thing", "CREATE SCHEMA mine"):
        with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.ProgrammingError)):
            ask(app, statement)


def test_the_job_role_may_only_connect(prepared: Environment) -> None:
    owner, job = (
        prepared["CUSTOMER_SERVICE_DATABASE_OWNER_URL"],
        prepared["CUSTOMER_SERVICE_DATABASE_JOB_URL"],
    )
    ask(owner, "DROP TABLE IF EXISTS thing", "CREATE TABLE thing (id serial)")
    assert ask(job, "SELECT 1") == 1
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        ask(job, "SELECT * FROM thing")


def test_no_role_has_powers(server: EmbeddedPostgres, prepared: Environment) -> None:
    powers = "rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
    made = "rolname LIKE 'auth\\_%' OR rolname LIKE 'customer\\_%'"
    assert ask(server.url, f"SELECT count(*) FROM pg_roles WHERE {made}") == 6
    assert ask(server.url, f"SELECT count(*) FROM pg_roles WHERE ({made}) AND ({powers})") == 0


def test_a_role_that_was_given_powers_is_named(server: EmbeddedPostgres, prepared: Environment) -> None:
    ask(server.url, "ALTER ROLE auth_app BYPASSRLS")
    try:
        with pytest.raises(ConfigurationError, match="powers that no service may have: auth_app"):
            databases.prepare(server.url, SERVICES)
    finally:
        ask(server.url, "ALTER ROLE auth_app NOBYPASSRLS")


def test_an_administrator_need_not_be_a_superuser(server: EmbeddedPostgres, prepared: Environment) -> None:
    ask(server.url, "CREATE ROLE manager LOGIN CREATEROLE CREATEDB PASSWORD 'managed'")
    place = urlsplit(server.url).netloc.rpartition("@")[2]
    url = f"postgres://manager:managed@{place}/postgres?application_name=test&sslmode=prefer"
    result = databases.prepare(url, ["managed"])
    assert result == databases.prepare(url, ["managed"])
    assert result["MANAGED_SERVICE_DATABASE_URL"].endswith("/managed_db?application_name=test&sslmode=prefer")
    assert ask(result["MANAGED_SERVICE_DATABASE_URL"], "SELECT current_user") == "managed_app"


def test_an_administrator_without_rights_is_one_sentence(server: EmbeddedPostgres, prepared: Environment) -> None:
    ask(server.url, "CREATE ROLE weak LOGIN PASSWORD 'weak'")
    place = urlsplit(server.url).netloc.rpartition("@")[2]
    with pytest.raises(ConfigurationError, match="needs a user with CREATEROLE and CREATEDB"):
        databases.prepare(f"postgresql://weak:weak@{place}/postgres", ["weakling"])


def test_a_schema_of_its_own(server: EmbeddedPostgres, prepared: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERED_SERVICE_DB_SCHEMA", "sales")
    result = databases.prepare(server.url, ["ordered"])
    ask(result["ORDERED_SERVICE_DATABASE_OWNER_URL"], "CREATE TABLE sales.thing (id int)")
    assert ask(result["ORDERED_SERVICE_DATABASE_URL"], "SELECT count(*) FROM sales.thing") == 0


def test_a_database_that_the_user_gave_is_left_alone(
    server: EmbeddedPostgres, prepared: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIVEN_SERVICE_DATABASE_URL", "postgresql://elsewhere/given")
    assert services.without_database(["given", "auth"]) == ("auth",)
    assert not [name for name in databases.prepare(server.url, ["given"]) if name.startswith("GIVEN")]
    assert ask(server.url, "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'given%'") == 0
    databases.prepare(server.url, SERVICES)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "postgresql://admin:pw@127.0.0.1:1/postgres",
            r"127\.0\.0\.1:1 cannot be used \(Connection refused\)",
        ),
        ("postgresql+psycopg2://admin:pw@host.invalid/postgres", r"host\.invalid cannot be used \("),
        ("mysql://admin@127.0.0.1/x", "starts with postgresql://, not with 'mysql'"),
        ("postgresql://a@127.0.0.1:1/x?nonsense=1", "cannot be used"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_sentence(
    generated: Path, monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    monkeypatch.setenv("DATABASE_SERVER_URL", url)
    with pytest.raises(ConfigurationError, match=reason) as raised:
        databases.prepare(databases.server_url(), SERVICES)
    assert "\n" not in str(raised.value)
    assert "pw@" not in str(raised.value)


def test_an_old_server_is_one_sentence(
    server: EmbeddedPostgres, prepared: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "OLDEST_VERSION", 990000)
    with pytest.raises(ConfigurationError, match="too old"):
        databases.prepare(server.url, SERVICES)


def test_a_server_that_does_not_run_is_one_sentence(generated: Path) -> None:
    with pytest.raises(ConfigurationError, match="embedded Postgres does not run: start Alicerce first"):
        databases.server_url()
