"""What the tests of services share: races, platform administrators, and a way past the gateway."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import create_engine, pool, text

from contracts.roles import permissions
from kit import background, identity, transport
from kit.connections import normalise
from kit.identity import GATEWAY, Identity
from tests.api import Person


def raced(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls at the same moment in threads of their own; their results in order. An exception is raised here."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)
    failures: list[BaseException] = []

    def run(index: int, call: Callable[[], Any]) -> None:
        try:
            barrier.wait(timeout=10)
            results[index] = call()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    if failures:
        raise failures[0]
    return results


def raced_behind(locked: str, *calls: Callable[[], Any]) -> list[Any]:
    """The same, but every call is held at `locked`, a statement on the memberships, until all of them wait."""
    url = normalise(os.environ["TENANT_SERVICE_DATABASE_OWNER_URL"])
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    engine = create_engine(url, poolclass=pool.NullPool)

    def release() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT set_config('app.everywhere', 'on', true)"))
            connection.execute(text(locked))
            held.wait(timeout=10)
            ends = time.monotonic() + 4
            while time.monotonic() < ends and (observer.execute(waiting).scalar() or 0) < len(calls):
                observer.rollback()

    held = threading.Barrier(len(calls) + 1)

    def behind(call: Callable[[], Any]) -> Any:
        held.wait(timeout=10)
        return call()

    with engine.connect() as observer:
        return raced(release, *(lambda call=call: behind(call) for call in calls))[1:]


def app_of(service: str) -> Any:
    """The Flask app of a service of this process."""
    return transport.mounted(service).__self__  # type: ignore[union-attr]


def promoted(person: Person) -> Person:
    """The same person, logged in anew as an administrator of the platform."""
    app = app_of("auth")
    with app.app_context():
        from services.auth import domain

        domain.promote(person.email)
        app.db.session.commit()
    return person.login()


def internal_token(person: Person, role: str = "owner", tenant_id: str = "") -> str:
    """What the gateway would mint for this person in this role."""
    tenant = UUID(tenant_id or person.tenant_id)
    who = Identity(GATEWAY, UUID(person.user_id), tenant, permissions=permissions([role]))
    return identity.mint(GATEWAY, who)


@contextmanager
def unreachable(name: str) -> Iterator[None]:
    """A component that answers every request with 503."""

    def down(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("503 Service Unavailable", [("Content-Type", "application/json")])
        return [b"{}"]

    before = transport.mounted(name)
    assert before is not None
    transport.mount(name, down)
    try:
        yield
    finally:
        transport.mount(name, before)


def statuses(answers: list[Any]) -> list[int]:
    return sorted(answer.status for answer in answers)


def drain(service: str) -> None:
    """Do the work that waits in a service's queues, as its background thread would."""
    background.drain(app_of(service))
