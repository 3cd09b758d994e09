"""Rows are fenced twice, by the ORM and by Postgres, and each fence is enough alone."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

import pytest
from flask import g
from sqlalchemy import create_engine, pool, select, text
from sqlalchemy.exc import ProgrammingError

from alicerce.databases import connected
from alicerce.services import services
from kit import identity
from kit.db import normalise
from kit.identity import GATEWAY, Identity
from kit.migrations.fences import CONDITIONS
from services.customer.models import Customer, CustomerWord
from tests.api import Person, new_person
from tests.services.helpers import app_of, internal_token, raced
from tests.services.test_customer_create import created

UNFENCED = {
    ("auth", "login"): "read before anybody is known; holds an identifier and an id",
    ("auth", "revocation"): "read by the gateway for all; holds ids only",
    ("product", "publishable_key"): "read before any tenant is known; holds a key that is public, and an id",
    ("tenant", "revocation"): "read by the gateway for all; holds ids only",
}


def rows(service: str, query: str, role: str = "OWNER_") -> list[tuple[Any, ...]]:
    with connected(os.environ[f"{service.upper()}_SERVICE_DATABASE_{role}URL"]) as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return list(cursor.fetchall())


def mapped(service: str) -> list[Any]:
    return [mapper.class_ for mapper in app_of(service).db.Model.registry.mappers]


@contextmanager
def acting(person: Person) -> Iterator[Any]:
    """The database of customer as this person's request would see it."""
    app = app_of("customer")
    with app.app_context():
        g.identity = Identity(GATEWAY, UUID(person.user_id), UUID(person.tenant_id))
        try:
            yield app.db
        finally:
            app.db.session.rollback()


@contextmanager
def acting_without_policies(person: Person) -> Iterator[Any]:
    """The same, on a connection of the owner from whose tables FORCE is lifted, for one transaction only."""
    url = normalise(os.environ["CUSTOMER_SERVICE_DATABASE_OWNER_URL"])
    with create_engine(url, poolclass=pool.NullPool).connect() as connection, acting(person) as db:
        for table in ("customer", "customer_word"):
            connection.execute(text(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"))
        db.session.registry().get_bind = lambda *args, **kwargs: connection
        yield db
        db.session.remove()
        connection.rollback()


@contextmanager
def without_orm_fence() -> Iterator[None]:
    db = app_of("customer").db
    db._criteria, before = list, db._criteria
    try:
        yield
    finally:
        del db._criteria
        assert db._criteria == before


@pytest.fixture
def pair(owner: Person, stranger: Person) -> tuple[Person, Person]:
    """Two people with one customer each."""
    created(owner, name="Mine")
    created(stranger, name="Theirs")
    return owner, stranger


class TestCatalogue:
    def test_every_fenced_class_has_its_policy_in_the_database(self, platform: Any) -> None:
        for service in services():
            policies = {
                table: expression
                for table, kind, expression, check, command in rows(
                    service,
                    "SELECT tablename, permissive, qual, with_check, cmd FROM pg_policies WHERE policyname = 'fence'",
                )
                if kind == "RESTRICTIVE" and command == "ALL" and check == expression
            }
            flags = {row[0]: row[1:] for row in rows(service, TABLES)}
            for cls in mapped(service):
                table, words = cls.__tablename__, getattr(cls, "__fence__", ())
                if not words:
                    assert UNFENCED[service, table]
                    assert table not in policies
                    continue
                enabled, forced, owner = flags[table]
                assert (enabled, forced, owner) == (True, True, f"{service}_owner"), table
                for word, condition in CONDITIONS.items():
                    setting = condition.split("'")[1]
                    assert (setting in policies[table]) is (word in words), (table, word)

    def test_every_table_is_known(self, platform: Any) -> None:
        for service in services():
            known = {cls.__tablename__ for cls in mapped(service)} | {"alembic_version"}
            assert {row[0] for row in rows(service, TABLES)} == known

    def test_the_list_of_unfenced_tables_is_not_stale(self, platform: Any) -> None:
        unfenced = {(s, c.__tablename__) for s in services() for c in mapped(s) if not getattr(c, "__fence__", ())}
        assert unfenced == set(UNFENCED)

    def test_the_role_of_a_service_owns_nothing_and_steps_over_nothing(self, platform: Any) -> None:
        for service in services():
            names = f"('{service}_app', '{service}_job')"
            powers = "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles"
            powers += f" WHERE rolname IN {names}"
            assert rows(service, powers) == [(False,), (False,)]
            owned = f"SELECT relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE rolname IN {names}"
            assert rows(service, owned) == []
            member = f"SELECT pg_has_role('{service}_app', '{service}_owner', 'MEMBER')"
            assert rows(service, member) == [(False,)]
            truncate = "SELECT bool_or(has_table_privilege(c.oid, 'TRUNCATE')) FROM pg_class c JOIN pg_namespace n"
            truncate += " ON n.oid = c.relnamespace WHERE relkind = 'r' AND nspname = 'public'"
            assert rows(service, truncate, role="") == [(False,)]

    def test_indexes_and_keys_of_fenced_tables_lead_with_their_fence(self, platform: Any) -> None:
        query = (
            "SELECT t.relname, i.relname, a.attname FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid"
            " JOIN pg_class i ON i.oid = x.indexrelid"
            " JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]"
        )
        for service in services():
            fenced = {cls.__tablename__: cls.__fence__ for cls in mapped(service) if getattr(cls, "__fence__", ())}
            for table, index, column in rows(service, query):
                if table in fenced:
                    assert column.removesuffix("_id") in fenced[table], index

    def test_foreign_keys_carry_the_fence(self, platform: Any) -> None:
        query = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
        for service in services():
            for name, definition in rows(service, query):
                local, remote = definition.split("REFERENCES")
                first = local.split("(")[1].split(",")[0].strip(") ")
                assert first in ("tenant_id", "user_id") and first in remote, name

    def test_nothing_steps_around_the_fences(self, platform: Any) -> None:
        outside = "nspname NOT IN ('pg_catalog', 'information_schema')"
        for service in services():
            views = "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            views += f" WHERE relkind IN ('v', 'm') AND {outside}"
            definers = "SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace"
            definers += f" WHERE prosecdef AND {outside}"
            assert rows(service, views) == rows(service, definers) == []


TABLES = (
    "SELECT relname, relrowsecurity, relforcerowsecurity, rolname FROM pg_class c JOIN pg_namespace n"
    " ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner"
    " WHERE relkind IN ('r', 'p') AND nspname = 'public'"
)


class TestEachAlone:
    def test_both_together_show_ones_own(self, pair: tuple[Person, Person]) -> None:
        with acting(pair[0]) as db:
            assert db.session.scalars(select(Customer.name)).all() == ["Mine"]

    def test_postgres_alone_hides_the_rows_of_others(self, pair: tuple[Person, Person]) -> None:
        with acting(pair[0]) as db, without_orm_fence():
            assert db.session.scalars(select(Customer.name)).all() == ["Mine"]
            assert db.session.execute(text("SELECT name FROM customer")).all() == [("Mine",)]
            assert db.session.execute(text("SELECT word FROM customer_word")).all() == [("mine",)]
            assert db.session.execute(text("UPDATE customer SET notes = 'x'")).rowcount == 1
            assert db.session.execute(text("DELETE FROM customer_word")).rowcount == 1

    def test_postgres_alone_keeps_rows_of_others_from_being_written(self, pair: tuple[Person, Person]) -> None:
        mine, other = pair
        for statement in (
            "UPDATE customer SET tenant_id = :other",
            "INSERT INTO customer_word (tenant_id, word, record_id) VALUES (:other, 'x', gen_random_uuid())",
        ):
            with acting(mine) as db, pytest.raises(ProgrammingError, match="row-level security"):
                db.session.execute(text(statement), {"other": other.tenant_id})

    def test_the_orm_alone_hides_the_rows_of_others(self, pair: tuple[Person, Person]) -> None:
        mine, other = pair
        with acting_without_policies(mine) as db:
            bare = db.session.execute(text("SELECT count(*) FROM customer")).scalar()
            assert bare >= 2
            assert db.session.scalars(select(Customer.name)).all() == ["Mine"]
            assert set(db.session.scalars(select(CustomerWord.word))) == {"mine"}
            theirs = db.session.execute(
                text("SELECT id FROM customer WHERE tenant_id = :t"), {"t": other.tenant_id}
            ).scalar()
            assert db.session.scalar(select(Customer).where(Customer.id == theirs)) is None
            assert db.session.query(Customer).filter_by(id=theirs).update({"notes": "x"}) == 0
            assert db.session.query(Customer).filter_by(id=theirs).delete() == 0

    def test_nobody_sees_anything(self, pair: tuple[Person, Person]) -> None:
        app = app_of("customer")
        with app.app_context():
            assert app.db.session.scalars(select(Customer.name)).all() == []
            assert app.db.session.execute(text("SELECT count(*) FROM customer")).scalar() == 0

    def test_a_setting_does_not_outlive_its_transaction(self, pair: tuple[Person, Person]) -> None:
        with acting(pair[0]) as db:
            connection = db.session.connection().connection.dbapi_connection
            pid = connection.info.backend_pid
            db.session.commit()
            with ExitStack() as stack:
                pooled = [stack.enter_context(db.engine.connect()) for _ in range(6)]
                again = next(c for c in pooled if c.connection.dbapi_connection.info.backend_pid == pid)
                assert again.execute(text("SELECT count(*) FROM customer")).scalar() == 0
                assert again.execute(text("SELECT current_setting('app.tenant_id', true)")).scalar() == ""

    def test_people_are_fenced_too(self, owner: Person, stranger: Person) -> None:
        app = app_of("auth")
        with app.app_context():
            assert app.db.session.execute(text('SELECT count(*) FROM "user"')).scalar() == 0
            app.db.act_for(UUID(owner.user_id))
            assert app.db.session.execute(text('SELECT email FROM "user"')).all() == [(owner.email,)]
            assert app.db.session.execute(text("SELECT count(*) FROM session")).scalar() == 1


class TestTransactions:
    def test_reading_runs_read_only(self, owner: Person) -> None:
        app = app_of("customer")
        headers = {identity.HEADER: internal_token(owner)}
        seen = {}

        def look() -> None:
            seen["read_only"] = app.db.session.execute(text("SHOW transaction_read_only")).scalar()

        before = app.view_functions["customers.list_customers"]

        def view(*args: Any, **kwargs: Any) -> Any:
            look()
            if seen.get("write"):
                app.db.session.execute(text("UPDATE customer SET notes = 'x'"))
            return before(*args, **kwargs)

        view.access = before.access  # type: ignore[attr-defined]
        app.view_functions["customers.list_customers"] = view
        try:
            assert app.test_client().get("/customers/", headers=headers).status_code == 200
            assert seen == {"read_only": "on"}
            seen["write"] = "on"
            assert app.test_client().get("/customers/", headers=headers).status_code == 500
        finally:
            app.view_functions["customers.list_customers"] = before

    def test_a_refused_request_leaves_nothing_behind(self, owner: Person) -> None:
        created(owner, email="a@example.com")
        other = created(owner)
        changes = {"name": "Changed Words", "email": "a@example.com"}
        owner.put(f"/api/customers/{other['id']}", changes).problem(409, "already_exists")
        assert owner.get("/api/customers/?search=changed").ok()["total"] == 0


@pytest.mark.parametrize("statement", ["CREATE TABLE x (y int)", "DROP TABLE customer", "TRUNCATE customer"])
def test_the_role_of_a_service_cannot_change_tables(platform: Any, statement: str) -> None:
    app = app_of("customer")
    with app.app_context(), pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        app.db.session.execute(text(statement))


def test_many_requests_of_two_tenants_on_one_pool_never_mix(platform: Any) -> None:
    people = [new_person(platform) for _ in range(2)]
    for person in people:
        created(person, name=f"of {person.tenant_id}")

    def look(person: Person) -> None:
        for _ in range(10):
            names = [row["name"] for row in person.get("/api/customers/").ok()["customers"]]
            assert names == [f"of {person.tenant_id}"]

    raced(*(lambda person=person: look(person) for person in people * 3))
