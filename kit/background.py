"""Work that outlives its request: queues in the service's own database, and one thread a process that empties them.

A row of a queue is due until its work sets `due_at` to None or removes the row. Which rows of all tenants are due is
seen by the job role alone, which can read nothing but their ids; the work itself runs as the row's tenant, in a
transaction of its own that holds the row. A crash rolls back to where the last transaction ended.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar
from uuid import UUID

from flask import g
from sqlalchemy import Connection, Engine, Index, create_engine, select, text
from sqlalchemy.orm import Mapped, mapped_column

from kit import clock, deadline, logs, metrics, repeats, telemetry, trace
from kit.connections import engine_options, url_of
from kit.db import TenantOwned, apart
from kit.driver import fused
from kit.errors import Problem
from kit.identity import Identity, current

POLL_S = 5.0  # how late work may be found that another process, now dead, has left
BATCH = 20
FIRST_RETRY = timedelta(seconds=2)
LAST_RETRY = timedelta(hours=1)


class Queued(TenantOwned):
    """A row that is work to do, with a `due_index`. `queue(…)` in its revision lets the job role see when it is due."""

    __fence__: ClassVar[tuple[str, ...]] = ("tenant", "job")

    id: Mapped[UUID] = mapped_column(primary_key=True, default=clock.new_id, sort_order=-10)
    due_at: Mapped[datetime | None] = mapped_column(default=clock.now)
    attempts: Mapped[int] = mapped_column(default=0)
    user_id: Mapped[UUID | None]


def due_index(table: str) -> Index:
    """The index by which due rows are found; it belongs to every queue."""
    return Index(f"ix_{table}_due", "tenant_id", "due_at", postgresql_where=text("due_at IS NOT NULL"))


@dataclass(frozen=True, slots=True)
class Queue:
    """A table of work, and what does a row's next step: within a few seconds, and harmless when repeated."""

    model: Any
    step: Callable[[Any], None]


def sweep(app: Any) -> bool:
    """Do one step of each of the oldest due rows; whether any was left to us by others."""
    found = [(queue, tenant_id, id) for queue in app.queues for tenant_id, id in _due(app, queue)]
    done = [work(app, queue, tenant_id, id) for queue, tenant_id, id in found]
    return any(done)


def drain(app: Any) -> None:
    """Work until nothing is due that nobody else is at."""
    while sweep(app):
        pass


def work(app: Any, queue: Queue, tenant_id: UUID, id: UUID) -> bool:
    """One step of one row; whether it was due and nobody else at it. A failure is tried again later and later."""
    with _acting(app, tenant_id, queue) as session:

        def undo() -> bool:
            app.db.discard()
            return True

        try:
            if not repeats.until_won(app.name, lambda: _step(app, queue, session, id), undo):
                return False
            metrics.STEPS.labels(app.name, queue.model.__tablename__, "done").inc()
        except Exception as error:
            app.db.discard()
            g.error_type = type(error).__qualname__
            metrics.STEPS.labels(app.name, queue.model.__tablename__, "failed").inc()
            unexpected = not isinstance(error, Problem)
            logs.logger(app.name).warning("%s left for later: %s", queue.model.__name__, error, exc_info=unexpected)
            deadline.start(None)  # a step may have used up its time; not put off, it would stay before all others
            _put_off(session, queue, id)
    return True


def _step(app: Any, queue: Queue, session: Any, id: UUID) -> bool:
    row = _take(session, queue, id)
    if row is None:
        return False
    g.identity = Identity(app.name, row.user_id, current.tenant_id, workload=True)
    # A step may write thousands of rows. A foreign key's plan that was made while its table was empty would
    # read the whole tenant for each of them; Postgres keeps it until somebody analyses the table.
    session.connection().exec_driver_sql("DISCARD PLANS")
    queue.step(row)
    session.commit()
    return True


def _take(session: Any, queue: Queue, id: UUID) -> Any:
    query = select(queue.model).where(queue.model.id == id, queue.model.due_at <= clock.now())
    return session.scalar(query.with_for_update(skip_locked=True).execution_options(populate_existing=True))


def _put_off(session: Any, queue: Queue, id: UUID) -> None:
    row = _take(session, queue, id)
    if row is not None:
        row.attempts += 1
        row.due_at = clock.now() + min(FIRST_RETRY * 2 ** min(row.attempts, 20), LAST_RETRY)
        session.commit()


def _due(app: Any, queue: Queue) -> list[Any]:
    table = queue.model.__table__.c
    query = select(table.tenant_id, table.id).where(table.due_at <= clock.now()).order_by(table.due_at).limit(BATCH)
    with job_transaction(app.name) as connection:
        return list(connection.execute(query))


@contextmanager
def job_transaction(service: str) -> Iterator[Connection]:
    """Read as a service's job role, in one transaction."""
    with apart(service, engine(service), "READ ONLY") as connection:
        yield connection


@lru_cache
def engine(service: str) -> Engine:
    """The connection of a service's job role."""
    # Not timed: no request waits for it.
    return create_engine(fused(url_of(service, "job")), **engine_options(service), timed=False)


@contextmanager
def _acting(app: Any, tenant_id: UUID, queue: Queue) -> Iterator[Any]:
    # Of the request that this follows; or a whole budget, and a thread of its own.
    left, followed, hop = str(deadline.remaining_ms()), trace.current_request_id(), trace.current_hop()
    with app.app_context():
        g.component, g.request_id = app.name, trace.request_id(followed)
        g.hop = telemetry.work(app.name, hop, queue.model.__tablename__)
        g.identity = Identity(app.name, None, tenant_id, workload=True)
        deadline.start(left)
        try:
            yield app.db.session
        finally:
            telemetry.worked(g.hop, g.get("error_type", ""))


class Thread(threading.Thread):
    """Empties the queues of the services of this process."""

    def __init__(self, apps: list[Any]) -> None:
        super().__init__(name="background", daemon=True)
        self.apps, self.awake, self.ending = apps, threading.Event(), False

    def run(self) -> None:
        while not self.ending:
            self.awake.clear()
            worked = [self._sweep(app) for app in self.apps]
            if not any(worked):
                self.awake.wait(POLL_S)

    def _sweep(self, app: Any) -> bool:
        try:
            return sweep(app)
        except Exception as error:
            level = logging.DEBUG if self.ending else logging.WARNING
            logs.logger(app.name).log(level, "the queues cannot be read: %s", error)
            return False


_apps: dict[str, Any] = {}
_thread: Thread | None = None


def register(app: Any) -> None:
    """Remember a service that has queues, for the thread of its process."""
    _apps[app.name] = app


def apps() -> list[Any]:
    """The services of this process that have queues."""
    return list(_apps.values())


def start() -> None:
    """Start the thread of this process, if any service here has queues."""
    global _thread
    if _apps and _thread is None:
        _thread = Thread(apps())
        _thread.start()


def wake() -> None:
    """Something is due now. Without a thread, as in tests, whoever wants it done calls `drain`."""
    if _thread:
        _thread.awake.set()


def stop() -> None:
    """Let the step in hand end; there will be no other in this process."""
    if _thread:
        _thread.ending = True
        wake()
        _thread.join(timeout=deadline.BUDGET_MS / 1000)
