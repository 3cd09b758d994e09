"""The timeline: interactions and transactions of a customer as one list, the newest first."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, cast, literal, select, union_all

from kit.identity import current
from kit.pages import Page, paginate
from services.interaction.domain.customers import check_known
from services.interaction.domain.transactions import standings
from services.interaction.models import Interaction, Transaction, db

NEWEST_FIRST = "-at"


@dataclass(frozen=True, slots=True)
class Event:
    """Something on the timeline: of `interaction` and `transaction` one is None."""

    kind: str
    at: datetime
    interaction: Interaction | None
    transaction: Transaction | None


def show_timeline(customer_id: UUID, *, sort: str | None = None, **page: Any) -> Page:
    """A page of what happened with a customer. Raises the refusals of `check_known`."""
    places = union_all(
        _places("interaction", Interaction).where(Interaction.customer_id == customer_id, Interaction.is_active),
        _places("transaction", Transaction).where(Transaction.customer_id == customer_id),
    ).subquery("place")
    order = {"at": places.c.at, "id": places.c.id}
    # Only places are sorted and divided into pages; the rows of one page are fetched by their ids.
    found = paginate(db, select(places.c.at, places.c.id, places.c.kind), order, sort=sort or NEWEST_FIRST, **page)
    if not found.total:
        check_known(customer_id)
    return replace(found, items=_events(found.items))


def _places(kind: str, model: Any) -> Select[Any]:
    # The fence in words of its own: a statement about a union is none about a fenced class.
    query = select(model.happened_at.label("at"), model.id.label("id"), cast(literal(kind), Text).label("kind"))
    return query.where(model.tenant_id == current.tenant_id)


def _events(places: Any) -> list[Event]:
    ids = [place.id for place in places]
    rows: dict[UUID, Any] = {}
    if ids:
        rows |= {one.id: one for one in db.session.scalars(select(Interaction).where(Interaction.id.in_(ids)))}
        found = list(db.session.scalars(select(Transaction).where(Transaction.id.in_(ids))))
        rows |= {one.id: one for one in standings(found)}
    # A row that was removed since its place was read is gone from the page, as it is from the list.
    return [_event(place, rows[place.id]) for place in places if place.id in rows]


def _event(place: Any, row: Any) -> Event:
    is_interaction = place.kind == "interaction"
    return Event(place.kind, place.at, row if is_interaction else None, None if is_interaction else row)
