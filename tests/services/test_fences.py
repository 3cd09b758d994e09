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

from kit import identity
from kit.connections import normalise
from kit.driver import fused
from kit.identity import GATEWAY, Identity
from services.customer.models import Customer, CustomerWord
from tests.api import Person, new_person
from tests.services.helpers import app_of, internal_token, raced
from tests.services.test_customer_create import created


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
    with create_engine(fused(url), poolclass=pool.NullPool).connect() as connection, acting(person) as db:
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
            db.session.execute(text("SELECT 1"))  # what is set travels with a statement
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
