"""Customers: how they come, change, go and return."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select

from contracts import customer as contract
from contracts import interaction
from kit import lifecycle
from kit.errors import Conflict, NotFound, ValidationError
from kit.outbox import emit
from kit.pages import Page, paginate
from kit.search import matching
from services.customer.models import Change, Customer, CustomerWord, db

MAX_EXPORT = 100_000
MAX_TAGS = 1000

SORTABLE = {
    "created_at": Customer.created_at,
    "updated_at": Customer.updated_at,
    "name": Customer.name,
    "id": Customer.id,
}
CHANGE_ORDER = {"created_at": Change.created_at, "id": Change.id}


class NoSuchCustomer(NotFound):
    """This customer does not exist."""


class CustomerInactive(Conflict):
    """This customer is deactivated. Reactivate it before changing it."""


class CustomerMerged(Conflict):
    """This customer was merged into another, which `merged_into_id` names. Use that one."""


class CustomerErased(Conflict):
    """The personal data of this customer was erased, and cannot come back."""


class CustomerHasTransactions(Conflict):
    """Money was recorded with this customer, and that record must stay. Deactivate the customer, or erase its data."""


class TooManyToExport(ValidationError):
    """A file holds at most 100,000 customers. Narrow the selection with filters."""


def create_customer(**fields: Any) -> Customer:
    """Keep a new customer. A value that an active one has already is refused by the database: 409."""
    customer = Customer(**fields)
    db.session.add(customer)
    db.session.flush()
    return customer


def get_customer(customer_id: UUID) -> Customer:
    """One customer, active or not. Raises NoSuchCustomer."""
    return db.find(Customer, customer_id, NoSuchCustomer)


def list_customers(
    *,
    page: int = 1,
    per_page: int = 20,
    cursor: str | None = None,
    sort: str | None = None,
    **selection: Any,
) -> Page:
    """A page of the customers that `select_customers` selects."""
    query = select_customers(**selection)
    return paginate(db, query, SORTABLE, page=page, per_page=per_page, cursor=cursor, sort=sort)


def select_customers(
    *,
    active_only: bool = True,
    search: str | None = None,
    tags: list[str] | None = None,
    documents: list[str] | None = None,
    consent: str | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    updated_since: datetime | None = None,
    **equal: Any,
) -> Select[Any]:
    """Which customers: `equal` holds columns that must have exactly a value; of `tags` and `documents` any one."""
    query = select(Customer).filter_by(**equal)
    if active_only:
        query = query.where(Customer.is_active)
    if tags:
        query = query.where(or_(*(Customer.tags.contains([tag]) for tag in tags)))
    if documents:
        query = query.where(Customer.document.in_(documents))
    if consent:
        query = query.where(Customer.consents.contains({consent: {"granted": True}}))
    if created_from:
        query = query.where(Customer.created_at >= created_from)
    if created_to:
        query = query.where(Customer.created_at < created_to)
    if updated_since:
        query = query.where(Customer.updated_at >= updated_since)
    return matching(query, Customer, CustomerWord, search)


def every_customer(**selection: Any) -> Iterator[Customer]:
    """All selected customers, the oldest first, for a file. Raises TooManyToExport."""
    query = select_customers(**selection).order_by(Customer.created_at, Customer.id).limit(MAX_EXPORT + 1)
    for number, customer in enumerate(db.session.scalars(query.execution_options(yield_per=1000))):
        if number == MAX_EXPORT:
            raise TooManyToExport
        yield customer


def update_customer(customer_id: UUID, **changes: Any) -> Customer:
    """Change the given fields and leave the rest. Raises NoSuchCustomer, CustomerInactive, PreconditionFailed."""
    customer = db.lock(Customer, customer_id, NoSuchCustomer)
    check_alive(customer)
    change(customer, "updated", changes)
    db.session.flush()
    return customer


def deactivate_customer(customer_id: UUID) -> None:
    """Take a customer out of use; it can come back. Raises NoSuchCustomer, AlreadyInactive."""
    customer = db.lock(Customer, customer_id, NoSuchCustomer)
    lifecycle.deactivate(customer)
    note(customer, "deactivated")
    db.session.flush()


def activate_customer(customer_id: UUID) -> Customer:
    """Bring a customer back, unless its e-mail or number was taken meanwhile.

    Raises NoSuchCustomer, AlreadyActive, CustomerMerged, CustomerErased.
    """
    customer = db.lock(Customer, customer_id, NoSuchCustomer)
    if not customer.is_active:
        check_neither_merged_nor_erased(customer)
    lifecycle.activate(customer)
    note(customer, "activated")
    db.session.flush()
    return customer


def remove_customer(customer_id: UUID) -> None:
    """Remove a customer for good, active or not, and those merged into it. Raises NoSuchCustomer,
    CustomerHasTransactions."""
    get_customer(customer_id)
    # The money of one that was merged may still be on its way to the survivor.
    merged = db.session.scalars(select(Customer.id).where(Customer.merged_into_id == customer_id))
    if any(interaction.summary_of(id).transaction_count for id in (customer_id, *merged)):
        raise CustomerHasTransactions
    lock_with_merged([customer_id])  # which go with it
    customer = db.lock(Customer, customer_id, NoSuchCustomer)
    db.session.delete(customer)
    emit(db, contract.REMOVED, customer_id=str(customer_id))


def list_changes(customer_id: UUID, **page: Any) -> Page:
    """What was done to a customer and to those that were merged into it. Raises NoSuchCustomer."""
    customer = get_customer(customer_id)
    ids = select(Customer.id).where(or_(Customer.id == customer.id, Customer.merged_into_id == customer.id))
    return paginate(db, select(Change).where(Change.customer_id.in_(ids)), CHANGE_ORDER, **page)


def count_tags() -> list[Any]:
    """The tags of active customers as (tag, count), the most used first."""
    tag = func.jsonb_array_elements_text(Customer.tags).table_valued("value", joins_implicitly=True).c.value
    count = func.count().label("count")
    query = select(tag.label("tag"), count).select_from(Customer).where(Customer.is_active)
    return list(db.session.execute(query.group_by(tag).order_by(count.desc(), tag).limit(MAX_TAGS)))


def lock_with_merged(ids: Sequence[UUID]) -> dict[UUID, Customer]:
    """Lock customers and those that were merged into them, all in one statement and in the order of their ids.

    Everybody who locks several customers does so, so that they wait for each other instead of dying together.
    """
    query = select(Customer).where(or_(Customer.id.in_(ids), Customer.merged_into_id.in_(ids))).order_by(Customer.id)
    query = query.with_for_update().execution_options(populate_existing=True)
    return {customer.id: customer for customer in db.session.scalars(query)}


def check_alive(customer: Customer) -> None:
    """Raises CustomerMerged, CustomerErased or CustomerInactive unless the customer can be worked with."""
    check_neither_merged_nor_erased(customer)
    if not customer.is_active:
        raise CustomerInactive


def check_neither_merged_nor_erased(customer: Customer) -> None:
    """Raises CustomerMerged or CustomerErased: neither can be undone."""
    if customer.merged_into_id:
        raise CustomerMerged(merged_into_id=customer.merged_into_id)
    if customer.erased_at:
        raise CustomerErased


def differences(customer: Customer, fields: dict[str, Any]) -> dict[str, Any]:
    """Those of the fields whose value is not the customer's already."""
    return {name: value for name, value in fields.items() if getattr(customer, name) != value}


def change(customer: Customer, action: str, fields: dict[str, Any]) -> bool:
    """Set fields of a locked customer and note what changed; whether anything did."""
    changes = {name: [getattr(customer, name), value] for name, value in differences(customer, fields).items()}
    for name, (_, value) in changes.items():
        setattr(customer, name, value)
    if changes:
        note(customer, action, changes)
    return bool(changes)


def note(customer: Customer, action: str, changes: dict[str, Any] | None = None) -> None:
    """Add a line to the customer's history."""
    db.session.add(Change(customer_id=customer.id, action=action, changes=changes or {}))
