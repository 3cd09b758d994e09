"""Duplicates: customers that share an e-mail address, a document, or a name and phone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from kit.pages import Page, paginate
from services.customer.domain.customers import get_customer
from services.customer.models import LIKENESSES, Customer, CustomerKey, db

SORTABLE = {"key": CustomerKey.key}
MAX_SHOWN = 21  # of one group: as many as one merge takes


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Active customers that share a value, the oldest first; of `count` at most MAX_SHOWN."""

    by: str
    value: str
    count: int
    customers: list[Customer]


def list_duplicates(*, by: Iterable[str] = LIKENESSES, customer_id: UUID | None = None, **page: Any) -> Page:
    """Groups of duplicates in the whole tenant, or those of one customer. Raises NoSuchCustomer."""
    ids = func.array_agg(aggregate_order_by(CustomerKey.record_id, Customer.created_at, Customer.id))
    query = (
        select(CustomerKey.key, func.count().label("count"), ids[1:MAX_SHOWN].label("ids"))
        .join(Customer, (Customer.tenant_id == CustomerKey.tenant_id) & (Customer.id == CustomerKey.record_id))
        .where(Customer.is_active, or_(*(_is_of(kind) for kind in by)))
        .group_by(CustomerKey.key)
        .having(func.count() > 1)
    )
    if customer_id is not None:
        own = select(CustomerKey.key).where(CustomerKey.record_id == get_customer(customer_id).id)
        query = query.where(CustomerKey.key.in_(own))
    found = paginate(db, query, SORTABLE, **page)
    shown = select(Customer).where(Customer.id.in_({id for row in found.items for id in row.ids}))
    customers = {customer.id: customer for customer in db.session.scalars(shown)}
    return replace(found, items=[_group(row, customers) for row in found.items])


def _is_of(kind: str) -> ColumnElement[bool]:
    # A range, because it keeps its index behind row-level security: `;` follows `:`.
    return (CustomerKey.key >= f"{kind}:") & (CustomerKey.key < f"{kind};")  # type: ignore[no-any-return]


def _group(row: Any, customers: dict[UUID, Customer]) -> Duplicate:
    kind, _, value = row.key.partition(":")
    return Duplicate(kind, value, row.count, [customers[id] for id in row.ids if id in customers])
