"""Whatever finds a dead connection first, the answer is a clear refusal, and nothing of the request is left."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Response
from psycopg2 import OperationalError
from sqlalchemy import Engine, event

from alicerce.services import services
from kit.clock import new_id
from kit.errors import Conflict, Unavailable
from tests.services.helpers import app_of
from tests.services.moments import DEATHS, answering, engine_of, others_are_themselves, raw_of, seen
from tests.tables import Tally

FEW, MANY = 100, 2_000


class Refused(Conflict):
    """This is refused for a reason of its own."""


class KeptRefusal(Conflict):
    """This is refused, and what was written stays."""

    durable = True


def rollback(db: Any, die: Callable[[], None]) -> None:
    seen(db)
    die()
    raise Unavailable("Somebody else cannot be reached.", code="elsewhere")


def commit(db: Any, die: Callable[[], None]) -> Any:
    seen(db)
    die()
    return "done"


def durable_commit(db: Any, die: Callable[[], None]) -> None:
    seen(db)
    die()
    raise KeptRefusal


def savepoint(db: Any, die: Callable[[], None]) -> Any:
    seen(db)
    die()
    with db.session.begin_nested():
        return seen(db)


def end_of_a_savepoint(db: Any, die: Callable[[], None]) -> None:
    with db.session.begin_nested():
        seen(db)
        die()
        raise Refused


def read(db: Any, die: Callable[[], None]) -> Any:
    seen(db)
    die()
    return seen(db)


def read_across_tenants(db: Any, die: Callable[[], None]) -> Any:
    with db.every_tenant():
        die()
        return seen(db)


def second_try(db: Any, die: Callable[[], None]) -> Any:
    """A verb that does not look at its errors."""
    try:
        read(db, die)
    except Exception:
        return seen(db)


MOMENTS = {
    rollback: "elsewhere",
    commit: "outcome_unknown",
    durable_commit: "outcome_unknown",
    savepoint: "database_unavailable",
    end_of_a_savepoint: "database_unavailable",
    read: "database_unavailable",
    read_across_tenants: "database_unavailable",
    second_try: "database_unavailable",
}


def nothing_is_left(service: str, sessions: list[Any]) -> None:
    """No session of the request, and no connection that is not in the pool."""
    if any(session() for session in sessions):
        gc.collect()
    assert [session() for session in sessions] == [None] * len(sessions)
    assert engine_of(service).pool.holders == {}


def die_at(service: str, moment: Any, death: Any, method: str = "POST") -> tuple[Any, list[Any]]:
    """The answer to a request whose connection dies, and its session."""
    sessions: list[Any] = []

    def work(db: Any) -> Any:
        sessions.append(weakref.ref(db.session()))
        db.act_for(new_id())  # somebody who must not be found again
        return moment(db, lambda: death(raw_of(db.session), service))

    with answering(service, work, method) as ask:
        return ask(), sessions


# Every service at every moment; every way to die at every moment of one service.
CASES = [(service, moment, DEATHS[0]) for service in services() for moment in MOMENTS]
CASES += [("customer", moment, death) for moment in MOMENTS for death in DEATHS[1:]]


@pytest.mark.parametrize(("service", "moment", "death"), CASES)
def test_a_dead_connection_is_a_503_and_leaves_nobody_behind(
    platform: Any, service: str, moment: Any, death: Any
) -> None:
    answer, sessions = die_at(service, moment, death)
    problem = answer.problem(503, MOMENTS[moment])
    assert "psycopg" not in str(problem)
    nothing_is_left(service, sessions)


@pytest.mark.parametrize("service", services())
def test_after_dead_connections_everybody_is_who_they_are(platform: Any, service: str, tally: Tally) -> None:
    for moment in MOMENTS:
        die_at(service, moment, DEATHS[0])
    strange = others_are_themselves(service, FEW)
    tally("who others are after dead connections", tried=FEW, bad=len(strange))
    assert strange == []


@pytest.mark.long
@pytest.mark.parametrize("service", services())
def test_after_many_dead_connections_everybody_is_who_they_are(platform: Any, service: str, tally: Tally) -> None:
    strange = []
    for moment in MOMENTS:
        for death in DEATHS:
            die_at(service, moment, death)
        strange += others_are_themselves(service, MANY // len(MOMENTS))
    tally("who others are after dead connections", tried=MANY, bad=len(strange))
    assert strange == []


@pytest.mark.parametrize("death", DEATHS)
def test_a_read_whose_end_fails_has_no_outcome_to_wonder_about(platform: Any, death: Any) -> None:
    answer, sessions = die_at("customer", commit, death, "GET")
    answer.problem(503, "database_unavailable")
    nothing_is_left("customer", sessions)


@pytest.mark.parametrize("death", DEATHS)
def test_a_refusal_of_its_own_stands_although_the_rollback_fails(platform: Any, death: Any) -> None:
    def refused(db: Any, die: Callable[[], None]) -> None:
        seen(db)
        die()
        raise Refused

    answer, sessions = die_at("customer", refused, death)
    answer.problem(409, "refused")
    nothing_is_left("customer", sessions)


@pytest.mark.parametrize(("service", "death"), [*((name, DEATHS[0]) for name in services()), ("customer", DEATHS[2])])
def test_what_follows_the_commit_may_fail_and_the_answer_stands(platform: Any, service: str, death: Any) -> None:
    def followed(db: Any, die: Callable[[], None]) -> Any:
        db.after_commit(lambda: read(db, lambda: death(raw_of(db.session), service)))
        return seen(db).split()[0]

    answer, sessions = die_at(service, followed, death)
    assert answer.status == 200
    nothing_is_left(service, sessions)


@pytest.fixture
def no_way_in() -> Iterator[Callable[[Engine], None]]:
    """Makes the database refuse new connections until the end of the test."""
    closed: list[Engine] = []

    def refuse(*_: Any) -> None:
        raise OperationalError("connection refused")

    def close(engine: Engine) -> None:
        engine.dispose()
        event.listen(engine, "do_connect", refuse)
        closed.append(engine)

    yield close
    for engine in closed:
        event.remove(engine, "do_connect", refuse)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("service", services())
def test_a_pool_that_gets_no_connection_is_a_503(platform: Any, service: str, method: str, no_way_in: Any) -> None:
    no_way_in(engine_of(service))
    with answering(service, seen, method) as ask:
        ask().problem(503, "database_unavailable")
    nothing_is_left(service, [])


@pytest.mark.parametrize(("service", "death"), [*((name, DEATHS[0]) for name in services()), ("customer", DEATHS[1])])
def test_a_connection_that_died_in_the_pool_is_replaced(platform: Any, service: str, death: Any) -> None:
    raws: list[Any] = []
    with answering(service, lambda db: raws.append(raw_of(db.session))) as ask:
        assert ask().status == 200
    death(raws[0], service)
    assert others_are_themselves(service, 3) == []


def raising(*_: Any) -> Any:
    raise OperationalError("server closed the connection unexpectedly")


@pytest.mark.parametrize("service", services())
def test_what_fails_after_the_view_is_a_503_as_well(platform: Any, service: str) -> None:
    app = app_of(service)
    for functions in (app.after_request_funcs, app.teardown_request_funcs):
        functions.setdefault(None, []).append(raising)
        try:
            with answering(service, seen) as ask:
                ask().problem(503, "database_unavailable")
        finally:
            functions[None].remove(raising)
        nothing_is_left(service, [])


@pytest.mark.parametrize("service", services())
def test_an_answer_stands_although_its_end_fails(platform: Any, service: str) -> None:
    def work(_: Any) -> Response:
        response = Response("done")
        response.call_on_close(raising)
        return response

    with answering(service, work) as ask:
        assert ask().json == "done"


def test_a_session_of_another_request_begins_nothing(platform: Any) -> None:
    """Whatever way it came to a request: its person is not who is asking."""
    kept: list[Any] = []
    with answering("customer", lambda db: kept.append(db.session())) as ask:
        assert ask().status == 200
    with answering("customer", lambda db: kept[0].connection().exec_driver_sql("SELECT 1").scalar()) as ask:
        ask().problem(500, "internal_error")
    assert others_are_themselves("customer", 3) == []
