"""Behind PgBouncer in transaction mode, with a few connections and no special setting, all is as without it."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest
from flask import Flask, g
from sqlalchemy import text

from alicerce.postgres import EmbeddedPostgres
from kit import deadline
from kit.connections import engine_options
from kit.db import Database
from kit.driver import fused
from kit.identity import Identity
from tests.alicerce import external, pooler
from tests.api import Person, new_person
from tests.journeys import test_readme
from tests.topologies import ROOT, environment, free_ports, running

THREADS, REQUESTS, KEPT = 16, 400, 4
PATIENCE_S = 60
NAMES = ("search_path", "lock_timeout", "idle_in_transaction_session_timeout", "max_parallel_workers_per_gather")


@pytest.fixture(scope="module")
def given(server: EmbeddedPostgres) -> Iterator[dict[str, str]]:
    """The variables of all services, each of whose roles goes through PgBouncer."""
    made = external.made(server.url, f"127.0.0.1:{server.port}")
    with pooler.pooling(server.port, made) as place:
        yield external.moved(made, place, "_URL")
    external.dropped(server.url)


def test_the_story_and_two_tenants_at_once(server: EmbeddedPostgres, given: dict[str, str], tmp_path: Path) -> None:
    external.prepare(tmp_path, given)
    with running("solo", tmp_path, given) as platform:
        test_readme.test_the_story_of_the_readme_ends_as_it_says(platform)
        people = [new_person(platform.url), new_person(platform.url)]

        def use(number: int) -> tuple[int, list[str]]:
            person = people[number % 2]
            mark = f"of-{person.tenant_id}"
            made = external.insist(lambda: person.post("/api/customers/", {"name": f"{mark} {number}"})).status
            return made, foreign(person, mark)

        with ThreadPoolExecutor(THREADS) as threads:
            answers = list(threads.map(use, range(REQUESTS)))
        assert answers == [(201, [])] * REQUESTS
        assert [p.get("/api/customers/?per_page=1").ok()["total"] for p in people] == [REQUESTS // 2] * 2
        used = "SELECT count(*)::int FROM pg_stat_activity WHERE usename = 'customer_app'"
        assert 0 < external.execute(server.url, used)[0][0] <= KEPT


def foreign(person: Person, mark: str) -> list[str]:
    """The customers of others that somebody sees."""
    shown = external.insist(lambda: person.get("/api/customers/?per_page=20&sort=-created_at")).ok()["customers"]
    return [customer["name"] for customer in shown if not customer["name"].startswith(mark)]


@pytest.fixture
def database(given: dict[str, str]) -> Iterator[tuple[Flask, Database]]:
    """The database of a service as its requests use it."""
    app, db = Flask("customer"), Database()
    options = engine_options("customer")
    options["connect_args"]["connect_timeout"] = PATIENCE_S
    app.config.update(
        SQLALCHEMY_DATABASE_URI=fused(given["CUSTOMER_SERVICE_DATABASE_URL"]), SQLALCHEMY_ENGINE_OPTIONS=options
    )
    db.init_app(app)
    yield app, db
    with app.app_context():
        db.engine.dispose()


def test_each_transaction_has_its_own_settings_and_leaves_none(
    given: dict[str, str], database: tuple[Flask, Database]
) -> None:
    app, db = database
    columns = ", ".join(f"current_setting('{name}')" for name in NAMES)
    own = f"SELECT current_setting('app.tenant_id'), current_setting('statement_timeout'), {columns}"

    def transact(_: int) -> Any:
        tenant = uuid4()
        with app.app_context():
            g.identity = Identity("customer", None, UUID(str(tenant)), workload=True)
            deadline.start(None)
            found = [db.session.execute(text(own)).one() for _ in range(3)]
            db.session.rollback()
        return [(row[0] == str(tenant), row[1] != "0", *row[2:]) for row in found]

    with ThreadPoolExecutor(THREADS) as threads:
        for seen in threads.map(transact, range(200)):
            assert seen == [(True, True, '"public"', "5s", "15s", "0")] * 3
    plain = external.execute(
        given["CUSTOMER_SERVICE_DATABASE_URL"],
        "SELECT coalesce(current_setting('app.tenant_id', true), ''), current_setting('lock_timeout'),"
        " current_setting('statement_timeout')",
    )
    assert plain == [("", "0", "0")]


def test_a_lock_is_waited_for_no_longer_than_its_limit(
    given: dict[str, str], database: tuple[Flask, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, db = database
    db._standing |= {"lock_timeout": "50ms"}
    lock = "SELECT pg_advisory_xact_lock(7)"
    with psycopg2.connect(given["CUSTOMER_SERVICE_DATABASE_OWNER_URL"]) as holder, app.app_context():
        holder.cursor().execute(lock)
        with pytest.raises(Exception, match="canceling statement due to lock timeout"):
            db.session.execute(text(lock))
        db.session.rollback()
        assert db.session.execute(text("SELECT 1")).scalar() == 1
    holder.close()


@pytest.mark.parametrize("word", ["backup", "doctor"])
def test_a_backup_through_it_is_refused_with_what_to_do(
    server: EmbeddedPostgres, given: dict[str, str], tmp_path: Path, word: str
) -> None:
    line = [sys.executable, "-m", "alicerce", word]
    variables = environment(tmp_path / "home", {"gateway": free_ports(1)[0]}) | given
    shown = subprocess.run(line, cwd=ROOT, env=variables, check=False, capture_output=True, text=True)
    assert "This is PgBouncer" in shown.stdout + shown.stderr
    assert "lead past it, to Postgres itself" in shown.stdout + shown.stderr
