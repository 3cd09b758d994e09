"""A transaction that lost to another one is repeated from its beginning, and what left the process is not."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import g, request

from kit import background, clock, deadline
from kit.background import Queue
from kit.clock import new_id
from kit.identity import Identity
from kit.metrics import REPEATS
from services.customer.models import Customer, Import
from tests.api import Person
from tests.services.helpers import app_of, raced
from tests.services.moments import answering, engine_of, raw_of, seen

DEADLOCK, SERIALIZATION, LOCK_TIMEOUT = "40P01", "40001", "55P03"


def fail(db: Any, state: str) -> None:
    """Let Postgres end the transaction with an error of this state."""
    db.session.connection().exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '{state}'; END $$")


def repeats() -> float:
    return float(REPEATS.labels("customer")._value.get())


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds of the pause before each repetition, without the time passing."""
    seconds: list[float] = []
    monkeypatch.setattr(clock, "_sleep", seconds.append)
    return seconds


@pytest.mark.parametrize("state", [DEADLOCK, SERIALIZATION])
def test_what_lost_is_done_again_as_the_same_person(platform: Any, pauses: list[float], state: str) -> None:
    tries, before = [], repeats()

    def work(db: Any) -> Any:
        tries.append(seen(db))
        if len(tries) < 3:
            fail(db, state)
        return tries[-1]

    user_id, tenant_id = new_id(), new_id()
    with answering("customer", work) as ask:
        answer = ask(user_id, tenant_id)
    assert (answer.status, answer.json) == (200, f"{user_id} {tenant_id}")
    assert (len(tries), len(set(tries)), len(pauses)) == (3, 1, 2)
    assert all(0 <= seconds < 1 for seconds in pauses)
    assert repeats() - before == 2


def test_what_loses_again_and_again_is_busy(platform: Any, pauses: list[float]) -> None:
    tries = []

    def work(db: Any) -> None:
        tries.append(1)
        fail(db, DEADLOCK)

    with answering("customer", work) as ask:
        answer = ask()
    answer.problem(503, "busy")
    assert answer.headers["Retry-After"] == "1"
    assert len(tries) == 4


def lost_once(db: Any, tries: list[Any], value: Any = None) -> bool:
    """Lose the first time; return whether this is the second."""
    tries.append(value)
    if len(tries) == 1:
        fail(db, DEADLOCK)
    return True


def test_a_commit_that_lost_is_repeated_as_well(platform: Any, pauses: list[float]) -> None:
    tries: list[str] = []

    def work(db: Any) -> str:
        tries.append(seen(db))
        if len(tries) == 1:
            raw_of(db.session).later(b"DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$")
        return "won"

    with answering("customer", work) as ask:
        assert ask().json == "won"
    assert len(tries) == 2


def test_what_belonged_to_the_first_try_is_gone(platform: Any, pauses: list[float]) -> None:
    tries: list[Any] = []
    done: list[int] = []
    stranger = new_id()

    def work(db: Any) -> str:
        left = (db.session.info.get("user_id"), g.get("mark"), g.identity.tenant_id)
        db.after_commit(lambda: done.append(1))
        if not tries:
            g.mark = "of the first try"
            db.act_for(stranger)
            db.act_in(stranger)
            with db.every_tenant():
                lost_once(db, tries, left)
        tries.append(left)
        return str(seen(db))

    user_id, tenant_id = new_id(), new_id()
    with answering("customer", work) as ask:
        assert ask(user_id, tenant_id).json == f"{user_id} {tenant_id}"
    assert tries == [(None, None, tenant_id)] * 2
    assert done == [1]


def test_nothing_that_the_first_try_wrote_stands(platform: Any, owner: Person, pauses: list[float]) -> None:
    tries: list[Any] = []

    def work(db: Any) -> str:
        db.session.add(Customer(name="Ana", email="ana@example.com"))
        db.session.flush()
        lost_once(db, tries)
        return "won"

    with answering("customer", work) as ask:
        assert ask(UUID(owner.user_id), UUID(owner.tenant_id)).json == "won"
    assert owner.get("/api/customers").ok()["total"] == 1


def test_a_body_and_its_files_are_read_again(platform: Any, pauses: list[float]) -> None:
    tries: list[Any] = []
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nwords\r\n--x--\r\n'

    def work(db: Any) -> str:
        file = request.files["file"].read().decode()
        lost_once(db, tries, file)
        return file

    with answering("customer", work) as ask:
        answer = ask(data=form, **{"Content-Type": "multipart/form-data; boundary=x"})
        assert answer.json == "words"
    assert tries == ["words", "words"]


def test_one_key_is_one_effect_although_the_first_try_lost(platform: Any, owner: Person, pauses: list[float]) -> None:
    tries: list[Any] = []

    def work(db: Any) -> str:
        lost_once(db, tries)
        return f'"try {len(tries)}"'

    with answering("customer", work) as ask:
        answers = [ask(UUID(owner.user_id), UUID(owner.tenant_id), **{"Idempotency-Key": "k1"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert len(tries) == 2
    assert answers[1].headers["Idempotency-Replayed"] == "true"


def test_who_has_commanded_a_sibling_is_not_repeated(platform: Any, pauses: list[float]) -> None:
    """It may have been told an id that a repetition would draw anew."""
    tries: list[Any] = []

    def work(db: Any) -> str:
        g.commands = g.get("commands", 0) + 1  # as kit.client notes it
        lost_once(db, tries)
        return "never"

    with answering("customer", work) as ask:
        ask().problem(503, "busy")
    assert len(tries) == 1


def test_a_lock_that_was_waited_for_too_long_is_not_waited_for_again(platform: Any, pauses: list[float]) -> None:
    tries: list[int] = []

    def work(db: Any) -> None:
        tries.append(1)
        fail(db, LOCK_TIMEOUT)

    with answering("customer", work) as ask:
        ask().problem(503, "busy")
    assert len(tries) == 1


def test_there_is_no_repetition_after_the_deadline(platform: Any, pauses: list[float]) -> None:
    tries: list[int] = []

    def work(db: Any) -> None:
        tries.append(1)
        fail(db, DEADLOCK)

    with answering("customer", work) as ask:
        ask(**{deadline.HEADER: "900"}).problem(503, "busy")
    assert len(tries) == 1


def test_two_who_lock_in_crossed_order_both_succeed(platform: Any) -> None:
    """A real deadlock: each holds one key and wants the other's."""
    met, tries = threading.Barrier(2), []

    def work(db: Any) -> str:
        mine = request.headers["X-Order"]
        tries.append(mine)
        for step, key in enumerate(mine):
            db.session.connection().exec_driver_sql(f"SELECT pg_advisory_xact_lock(7, {int(key)})")
            if step == 0 and tries.count(mine) == 1:
                met.wait(30)
        return "won"

    with answering("customer", work) as ask:
        answers = raced(*(lambda order=order: ask(**{"X-Order": order}) for order in ("12", "21")))
    assert [answer.json for answer in answers] == ["won", "won"]
    assert len(tries) == 3


@contextmanager
def acting(person: Person) -> Iterator[Any]:
    app = app_of("customer")
    with app.app_context():
        g.identity = Identity("customer", None, UUID(person.tenant_id), workload=True)
        yield app.db


def test_a_step_of_work_is_repeated_as_well(platform: Any, owner: Person, pauses: list[float]) -> None:
    tries: list[Any] = []
    with acting(owner) as db:
        row = Import(is_dry_run=True, skips_faulty=False, total=0, due_at=clock.now() - timedelta(seconds=1))
        db.session.add(row)
        db.session.commit()
        id = row.id

    def step(row: Import) -> None:
        lost_once(app_of("customer").db, tries)
        row.due_at = None

    assert background.work(app_of("customer"), Queue(Import, step), UUID(owner.tenant_id), id)
    with acting(owner) as db:
        row = db.session.get(Import, (UUID(owner.tenant_id), id))
        assert (row.due_at, row.attempts, len(tries)) == (None, 0, 2)
        db.session.delete(row)
        db.session.commit()


def test_a_step_whose_connection_dies_is_put_off(platform: Any, owner: Person) -> None:
    with acting(owner) as db:
        row = Import(is_dry_run=True, skips_faulty=False, total=0, due_at=clock.now() - timedelta(seconds=1))
        db.session.add(row)
        db.session.commit()
        id = row.id

    def step(_: Import) -> None:
        raw_of(app_of("customer").db.session).close()
        seen(app_of("customer").db)

    assert background.work(app_of("customer"), Queue(Import, step), UUID(owner.tenant_id), id)
    with acting(owner) as db:
        row = db.session.get(Import, (UUID(owner.tenant_id), id))
        assert (row.due_at > clock.now(), row.attempts) == (True, 1)
        db.session.delete(row)
        db.session.commit()
    assert engine_of("customer").pool.holders == {}


def test_a_request_gives_up_on_a_lock_before_long_and_work_is_more_patient(platform: Any, owner: Person) -> None:
    shown = "SELECT current_setting('lock_timeout')"
    waits: Callable[[Any], Any] = lambda db: db.session.connection().exec_driver_sql(shown).scalar()  # noqa: E731
    with answering("customer", waits) as ask:
        assert ask().json == "1500ms"
    with acting(owner) as db:
        assert waits(db) == "5s"


@pytest.mark.parametrize("service", ["auth", "tenant", "customer", "product", "interaction"])
def test_a_savepoint_begins_no_second_transaction(platform: Any, service: str) -> None:
    """Postgres would warn: there is already a transaction in progress."""
    notices: list[str] = []

    def work(db: Any) -> None:
        raw = raw_of(db.session)
        raw.notices.clear()
        for _ in range(2):
            with db.session.begin_nested():
                seen(db)
                with db.session.begin_nested():
                    seen(db)
        notices.extend(raw.notices)

    with answering(service, work) as ask:
        assert ask().status == 200
    assert notices == []
