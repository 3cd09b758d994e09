"""The verbs of customer. Plain functions: no HTTP, no JSON, no commit."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from kit import lifecycle
from kit.errors import Conflict, NotFound
from kit.pages import Page, paginate
from kit.search import matching
from services.customer.models import Customer, CustomerWord, db

SORTABLE = {
    "created_at": Customer.created_at,
    "updated_at": Customer.updated_at,
    "name": Customer.name,
    "id": Customer.id,
}


class NoSuchCustomer(NotFound):
    """This customer does not exist."""


class CustomerInactive(Conflict):
    """This customer is deactivated. Reactivate it before changing it."""


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
    active_only: bool = True,
    search: str | None = None,
    tags: list[str] | None = None,
    documents: list[str] | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    updated_since: datetime | None = None,
    page: int = 1,
    per_page: int = 20,
    cursor: str | None = None,
    sort: str | None = None,
    **equal: Any,
) -> Page:
    """A page of customers. `equal` holds columns that must have exactly a value; of `tags` and `documents` any one."""
    query = select(Customer).filter_by(**equal)
    if active_only:
        query = query.where(Customer.is_active)
    if tags:
        query = query.where(or_(*(Customer.tags.contains([tag]) for tag in tags)))
    if documents:
        query = query.where(Customer.document.in_(documents))
    if created_from:
        query = query.where(Customer.created_at >= created_from)
    if created_to:
        query = query.where(Customer.created_at < created_to)
    if updated_since:
        query = query.where(Customer.updated_at >= updated_since)
    query = matching(query, Customer, CustomerWord, search)
    return paginate(db, query, SORTABLE, page=page, per_page=per_page, cursor=cursor, sort=sort)


def update_customer(customer_id: UUID, **changes: Any) -> Customer:
    """Change the given fields and leave the rest. Raises NoSuchCustomer, CustomerInactive, PreconditionFailed."""
    customer = db.lock(Customer, customer_id, NoSuchCustomer)
    if not customer.is_active:
        raise CustomerInactive
    for name, value in changes.items():
        setattr(customer, name, value)
    db.session.flush()
    return customer


def deactivate_customer(customer_id: UUID) -> None:
    """Take a customer out of use; it can come back. Raises NoSuchCustomer, AlreadyInactive."""
    lifecycle.deactivate(db.lock(Customer, customer_id, NoSuchCustomer))
    db.session.flush()


def activate_customer(customer_id: UUID) -> Customer:
    """Bring a customer back, unless its e-mail or number was taken meanwhile. Raises NoSuchCustomer, AlreadyActive."""
    customer = db.lock(Customer, customer_id, NoSuchCustomer)
    lifecycle.activate(customer)
    db.session.flush()
    return customer


def remove_customer(customer_id: UUID) -> None:
    """Remove a customer for good, active or not. Raises NoSuchCustomer."""
    db.session.delete(db.lock(Customer, customer_id, NoSuchCustomer))
    db.session.flush()
