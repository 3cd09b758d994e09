"""`make doctor`: every problem that it knows is caused, seen, and named together with what mends it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from alicerce import binaries, children, databases, doctor, keys
from alicerce.doctor import machine
from alicerce.doctor.findings import Finding
from alicerce.postgres import EmbeddedPostgres
from alicerce.services import services
from tests.topologies import ROOT, Running, environment, free_ports, running

Look = Callable[[str, str], list[Finding]]


@pytest.fixture
def look(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """What the doctor finds of one name and state, in a folder of its own with free ports."""
    for name in [name for name in os.environ if "_SERVICE_" in name]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GATEWAY_PORT", str(free_ports(1)[0]))
    monkeypatch.delenv("ENV", raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda name, state: [f for f in doctor.examine() if (f.name, f.state) == (name, state)]


def run(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "alicerce", "doctor", *words]
    variables = {**environment(home, {"gateway": free_ports(1)[0]}), **variables}
    return subprocess.run(line, cwd=ROOT, env=variables, check=False, capture_output=True, text=True)


def the_one(findings: list[Finding]) -> Finding:
    (finding,) = findings
    assert finding.advice
    return finding


def test_before_anything_was_started_all_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    shown = run(tmp_path / "none")
    assert shown.returncode == 0, shown.stdout
    assert "`make run` makes it" in shown.stdout
    assert not (tmp_path / "none").exists()


def test_a_problem_is_exit_status_one_and_can_be_read_by_programs(tmp_path: Path) -> None:
    shown = run(tmp_path, "--json", GATEWAY_PORT="http")
    assert shown.returncode == 1
    problems = [f for f in json.loads(shown.stdout)["findings"] if f["state"] == "problem"]
    assert any("GATEWAY_PORT='http' cannot be used" in finding["message"] for finding in problems)


# --- The machine -----------------------------------------------------------------------------------------------------


def test_a_port_that_somebody_else_holds_is_a_problem(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("GATEWAY_PORT", str(other.getsockname()[1]))
        assert "GATEWAY_PORT" in the_one(look("port", "problem")).advice


def test_a_full_disk_is_a_problem(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SPARE_DISK_BYTES", 2**80)
    assert the_one(look("disk", "warning"))
    monkeypatch.setattr(machine, "FREE_BYTES", 2**79)
    assert the_one(look("disk", "problem"))


def test_little_memory_is_a_warning(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SPARE_MEMORY_BYTES", 2**80)
    assert the_one(look("memory", "warning"))


def test_no_postgres_of_a_known_version_is_a_problem(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "OLDEST_MAJOR", 99)
    assert the_one(look("tools", "problem"))
    monkeypatch.setenv("DATABASE_SERVER_URL", "postgresql://nobody@127.0.0.1:1/postgres")
    assert the_one(look("tools", "warning"))


def test_secrets_that_others_may_read_are_a_problem(look: Look, generated: Path) -> None:
    generated.mkdir(mode=0o700)
    (generated / "secrets.json").write_text("{}")
    (generated / "secrets.json").chmod(0o644)
    assert the_one(look("folder", "problem")).advice == f"chmod 600 {generated / 'secrets.json'}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_of_another_user_is_a_problem(look: Look, generated: Path) -> None:
    generated.mkdir(mode=0o700)
    os.chown(generated, 12345, 12345)
    assert "belongs to user 12345" in the_one(look("folder", "problem")).message


# --- Settings and keys -----------------------------------------------------------------------------------------------


def test_a_misspelt_variable_is_a_problem_and_its_name_is_guessed(look: Look) -> None:
    Path(".env").write_text("GATEWEY_PORT=8081\nCUSTOMER_SERVICE_LOG_LEVEL=INFO\nJWT_SECRET=long\nMY_OWN=1\n")
    assert the_one(look("names", "problem")).advice == "did you mean GATEWAY_PORT?"
    assert "MY_OWN" in the_one(look("names", "warning")).message


def test_a_variable_of_docker_compose_is_no_misspelling(look: Look, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COMPOSE_FILE=docker-compose.yml:docker-compose.tls.yml\nHTTPS_PORT=8443\n")
    assert look("names", "ok")


def test_a_value_that_cannot_be_read_is_a_problem(look: Look) -> None:
    Path(".env").write_text("CUSTOMER_SERVICE_DB_POOL_SIZE=many\n")
    assert "CUSTOMER_SERVICE_DB_POOL_SIZE='many'" in the_one(look("values", "problem")).message


def test_an_example_is_no_secret_in_production(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("JWT_SECRET=change-me-please\n")
    assert the_one(look("secrets", "warning"))
    monkeypatch.setenv("ENV", "production")
    assert "JWT_SECRET" in the_one(look("secrets", "problem")).message


def test_keys_that_are_missing_or_damaged_are_named(look: Look, generated: Path) -> None:
    keys.ensure(keys.components())
    assert look("keys", "ok")
    (generated / "keys" / "private" / "auth.pem").unlink()
    assert "auth has no key" in the_one(look("keys", "warning")).message
    (generated / "keys" / "private" / "gateway.pem").write_text("damaged")
    assert "component=gateway" in the_one(look("keys", "problem")).advice
    (generated / "keys" / "public.json").write_text("{")
    assert "`make keys`" in the_one(look("keys", "problem")).advice


# --- Databases -------------------------------------------------------------------------------------------------------


def execute(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def given(look: Look, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> EmbeddedPostgres:
    """A server that the user gave."""
    monkeypatch.setenv("DATABASE_SERVER_URL", server.url)
    return server


def test_a_server_that_does_not_answer_is_a_problem(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_SERVER_URL", f"postgresql://nobody@127.0.0.1:{free_ports(1)[0]}/postgres")
    assert "no connection" in the_one(look("postgres", "problem")).message


def test_a_server_that_is_too_old_is_a_problem(
    look: Look, given: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look("postgres", "ok") and look("clock", "ok")
    monkeypatch.setattr(databases, "OLDEST_VERSION", 990000)
    assert the_one(look("postgres", "problem")).advice == "use 99 or newer"


def test_a_server_whose_clock_differs_is_a_problem(look: Look, given: EmbeddedPostgres) -> None:
    wrong = "SELECT pg_catalog.clock_timestamp() + interval '1 hour'"
    execute(
        given.url,
        f"CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $${wrong}$$",
        "ALTER ROLE postgres SET search_path = public, pg_catalog",
    )
    try:
        assert "differ by 3,6" in the_one(look("clock", "problem")).message
    finally:
        execute(given.url, "ALTER ROLE postgres RESET search_path", "DROP FUNCTION public.clock_timestamp()")


def test_databases_that_are_missing_late_or_too_new_are_named(
    look: Look, given: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "auth has no database" in the_one(look("migrations", "problem")).message
    for name, url in databases.prepare(given.url, services()).items():
        monkeypatch.setenv(name, url)
    assert "lack revisions" in the_one(look("migrations", "warning")).message
    owner = os.environ["CUSTOMER_SERVICE_DATABASE_OWNER_URL"]
    execute(owner, "CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('9999')")
    assert "customer is at revision 9999" in the_one(look("migrations", "problem")).message


def test_too_many_connections_for_a_server_are_a_warning_that_names_what_fits(
    look: Look, given: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "and all processes open up to 120" in look("connections", "ok")[0].message
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    finding = the_one(look("connections", "warning"))
    assert "has room for 197 connections, and all processes may open 240" in finding.message
    assert "DB_CONNECTIONS=49 " in finding.advice
    monkeypatch.setenv("DB_CONNECTIONS", "49")
    assert look("connections", "ok")
    monkeypatch.setenv("DB_CONNECTIONS", "50")
    assert look("connections", "warning")
    monkeypatch.setenv("TOPOLOGY", "split")
    assert "may open 216" in the_one(look("connections", "warning")).message


def test_a_role_that_a_backup_would_refuse_is_named_beforehand_with_the_sql(
    look: Look, given: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look("backups", "ok")
    execute(given.url, "CREATE ROLE manages LOGIN CREATEROLE CREATEDB PASSWORD 'managed'")
    monkeypatch.setenv("DATABASE_SERVER_URL", f"postgresql://manages:managed@127.0.0.1:{given.port}/postgres")
    finding = the_one(look("backups", "warning"))
    assert "manages does not see past row-level security" in finding.message
    execute(given.url, finding.advice.splitlines()[-1])
    assert look("backups", "ok")


# --- What runs, and what a crash left --------------------------------------------------------------------------------


def problems_of(platform: Running) -> list[str]:
    """The problems of a running platform, whose port has to count as its own."""
    gateway = platform.ports["gateway"]
    found = json.loads(run(platform.home, "--json", GATEWAY_PORT=str(gateway)).stdout)["findings"]
    assert [f["message"] for f in found if f["name"] == "port"] == [f"{gateway} (gateway) is ours"]
    return [finding["message"] for finding in found if finding["state"] == "problem"]


@pytest.mark.long
def test_what_runs_is_healthy_until_it_stands_still(tmp_path: Path) -> None:
    with running("solo", tmp_path) as platform:
        assert problems_of(platform) == []
        pid = next(process.pid for name, process, _, _ in children.recorded(platform.home) if name == "solo")
        workers = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], check=True, capture_output=True, text=True)
        still = [int(word) for word in workers.stdout.split()]
        for worker in still:
            os.kill(worker, signal.SIGSTOP)
        try:
            assert problems_of(platform) == [f"solo is not ready (process {pid})."]
        finally:
            for worker in still:
                os.kill(worker, signal.SIGCONT)


@pytest.fixture
def outlived(generated: Path) -> Iterator[int]:
    """A process that a supervisor recorded, which has gone."""
    generated.mkdir(mode=0o700)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        children.record(generated, [("solo", process.pid, "127.0.0.1", 1)])
        yield process.pid


def test_a_process_that_outlived_its_supervisor_is_a_problem(look: Look, outlived: int) -> None:
    assert f"process {outlived}" in the_one(look("leftovers", "problem")).message


def test_what_a_crash_left_is_named(look: Look, generated: Path) -> None:
    postgres = EmbeddedPostgres(generated, durable=False)
    postgres.start()
    os.kill(postgres.pid, signal.SIGKILL)
    postgres.stop()
    (generated / "backups" / "20261121T071500Z.partial").mkdir(parents=True, mode=0o700)
    left = {finding.message for finding in look("leftovers", "warning")}
    assert any("postmaster.pid" in message for message in left)
    assert any("20261121T071500Z.partial" in message for message in left)
