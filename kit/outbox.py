"""Facts: what happened here and concerns siblings. Written with the change itself, delivered at least once, and taken
to heart exactly once.

The publisher's models say `Outbox = outbox_table(db)` and its verbs `emit(db, MERGED, loser_id=…)`, with facts that its
contract declares; the row is delivered right after the commit, or by `kit.background` when that failed. The listener's
models say `Inbox = inbox_table(db)` and its routes `listener(db, "customer", {MERGED.name: domain.follow_merge})`.
Facts may arrive out of order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from flask import current_app
from marshmallow import fields
from sqlalchemy import Index, delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from kit import background, clock
from kit.background import Queue, Queued, due_index
from kit.blueprint import Blueprint
from kit.client import Sibling
from kit.db import TenantOwned
from kit.errors import ValidationError
from kit.identity import current, internal
from kit.schema import Schema

KEPT = timedelta(days=30)  # how long a repeated delivery is recognised; retries end long before


class UnknownFact(ValidationError):
    """This service does not listen to facts of this name."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A kind of fact, as a contract declares it: `customer.merged`, and the services that listen to it."""

    name: str
    heard_by: tuple[str, ...]


def outbox_table(db: Any) -> Any:
    """A service's table of facts that are still to be delivered, one row for each listener."""

    class Outbox(db.Model, Queued):
        __table_args__ = (due_index("outbox"),)
        listener: Mapped[str]
        name: Mapped[str]
        data: Mapped[dict[str, Any]]

    db.outbox = Outbox
    return Outbox


def inbox_table(db: Any) -> Any:
    """A service's table of the deliveries that it has taken to heart."""

    class Inbox(db.Model, TenantOwned):
        __table_args__ = (Index("ix_inbox_heard_at", "tenant_id", "heard_at"),)
        id: Mapped[UUID] = mapped_column(primary_key=True)
        heard_at: Mapped[datetime] = mapped_column(default=clock.now)

    return Inbox


def emit(db: Any, fact: Fact, **data: Any) -> None:
    """Tell those who listen, once this transaction has been committed. `data` holds plain JSON values."""
    app: Any = current_app._get_current_object()  # type: ignore[attr-defined]
    rows = [db.outbox(listener=name, name=fact.name, data=data, user_id=current.user_id) for name in fact.heard_by]
    db.session.add_all(rows)
    db.session.flush()
    for row in rows:
        db.after_commit(partial(background.work, app, queue(db), row.tenant_id, row.id))


def queue(db: Any) -> Queue:
    """The outbox as work: a row is delivered, then removed."""
    return Queue(db.outbox, lambda row: _deliver(db, row))


def _deliver(db: Any, row: Any) -> None:
    Sibling(row.listener).post(type(None), "internal", "facts", id=row.id, name=row.name, data=row.data)
    db.session.delete(row)


class Delivery(Schema):
    """A fact on its way: the id of the delivery, the fact's name, and its data."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    data = fields.Dict(required=True)


def listener(db: Any, inbox: Any, publisher: str, verbs: Mapping[str, Callable[..., None]]) -> Blueprint:
    """The internal route at which a publisher's facts arrive; each is done once, in the transaction of its effect."""
    routes = Blueprint(f"facts_of_{publisher}", __name__, url_prefix="/internal/facts")

    @routes.post("")
    @internal(publisher)
    @routes.accepts(Delivery)
    @routes.answers(200)
    def hear(delivery: dict[str, Any]) -> None:
        """Hear of a fact."""
        if delivery["name"] not in verbs:
            raise UnknownFact
        db.session.execute(delete(inbox).where(inbox.heard_at < clock.now() - KEPT))
        made = insert(inbox).values(tenant_id=current.tenant_id, id=delivery["id"], heard_at=clock.now())
        if db.session.execute(made.on_conflict_do_nothing().returning(inbox.id)).first():
            verbs[delivery["name"]](**delivery["data"])

    return routes
