"""Queues: work that outlives its request is done once, as its tenant, and again when it failed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from flask import g
from sqlalchemy import event, select, update

from kit import background, clock, deadline
from kit.background import Queue
from kit.errors import Unavailable
from kit.identity import Identity, current
from services.customer.models import Customer, Import
from tests.api import Person
from tests.services.helpers import app_of, raced


@contextmanager
def acting(person: Person) -> Iterator[Any]:
    app = app_of("customer")
    with app.app_context():
        g.identity = Identity("customer", None, UUID(person.tenant_id), workload=True)
        yield app.db.session
        app.db.session.rollback()


@pytest.fixture
def waiting(owner: Person) -> Iterator[UUID]:
    """A row of a queue that nobody works on unless a test does."""
    with acting(owner) as session:
        row = Import(is_dry_run=True, skips_faulty=False, total=0, due_at=clock.now() - timedelta(seconds=1))
        row.user_id = UUID(owner.user_id)
        session.add(row)
        session.commit()
        id = row.id
    yield id
    with acting(owner) as session:
        session.delete(session.get(Import, (UUID(owner.tenant_id), id)))
        session.commit()


def shown(person: Person, id: UUID) -> Import:
    with acting(person) as session:
        row: Import = session.get(Import, (UUID(person.tenant_id), id))
        session.expunge(row)
        return row


def work(person: Person, id: UUID, step: Any) -> None:
    background.work(app_of("customer"), Queue(Import, step), UUID(person.tenant_id), id)


def test_a_step_runs_as_its_tenant_for_whoever_asked(owner: Person, waiting: UUID) -> None:
    seen: list[Any] = []

    def step(row: Import) -> None:
        seen.extend((current.tenant_id, current.user_id, current.workload, current.permissions))
        row.due_at = None

    work(owner, waiting, step)
    assert seen == [UUID(owner.tenant_id), UUID(owner.user_id), True, frozenset()]
    assert shown(owner, waiting).due_at is None
    work(owner, waiting, step)
    assert len(seen) == 4


def test_a_failed_step_leaves_nothing_and_comes_again_later(owner: Person, waiting: UUID) -> None:
    def step(row: Import) -> None:
        app_of("customer").db.session.add(Customer(name="Half done"))
        app_of("customer").db.session.flush()
        raise Unavailable("Not now.")

    work(owner, waiting, step)
    row = shown(owner, waiting)
    assert row.attempts == 1
    assert row.due_at is not None
    assert timedelta(seconds=2) < row.due_at - clock.now() < timedelta(minutes=1)
    assert owner.get("/api/customers").ok()["total"] == 0
    work(owner, waiting, step)
    assert shown(owner, waiting).attempts == 1
    with clock.shifted(timedelta(minutes=1)):
        work(owner, waiting, step)
    assert shown(owner, waiting).attempts == 2


def test_a_step_that_used_up_its_time_is_put_off_in_time_of_its_own(owner: Person, waiting: UUID) -> None:
    left: list[int] = []
    session = app_of("customer").db.session

    def look(*_: Any) -> None:
        left.append(deadline.remaining_ms())

    def step(row: Import) -> None:
        deadline.start("0")
        event.listen(session, "before_flush", look)
        raise Unavailable("This took too long.")

    work(owner, waiting, step)
    event.remove(session, "before_flush", look)
    assert shown(owner, waiting).attempts == 1
    assert left[0] > deadline.BUDGET_MS / 2


def test_of_two_workers_one_does_the_step(owner: Person, waiting: UUID) -> None:
    done: list[int] = []

    def step(row: Import) -> None:
        done.append(1)
        row.due_at = None

    raced(*[lambda: work(owner, waiting, step)] * 8)
    assert done == [1]


def test_what_another_is_at_is_no_reason_to_look_again_at_once(owner: Person, waiting: UUID) -> None:
    background.drain(app_of("customer"))
    with acting(owner) as session:
        session.execute(update(Import).values(due_at=clock.now(), finished_at=None))
        session.commit()
    with acting(owner) as session:
        session.scalars(select(Import).with_for_update()).all()
        assert not background.sweep(app_of("customer"))
    assert background.sweep(app_of("customer"))


def test_the_job_role_sees_which_rows_are_due_and_nothing_else(owner: Person, waiting: UUID) -> None:
    with psycopg2.connect(os.environ["CUSTOMER_SERVICE_DATABASE_JOB_URL"]) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT tenant_id::text FROM customer_import WHERE id = %s", (str(waiting),))
        assert cursor.fetchall() == [(owner.tenant_id,)]
        for forbidden in (
            "SELECT status FROM customer_import",
            "SELECT data FROM outbox",
            "SELECT name FROM customer",
            "UPDATE customer_import SET due_at = NULL",
            "DELETE FROM outbox",
        ):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(forbidden)
            connection.rollback()
    connection.close()
    with psycopg2.connect(os.environ["CUSTOMER_SERVICE_DATABASE_URL"]) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM customer_import")
        assert cursor.fetchall() == [(0,)]
    connection.close()
