"""A person's rights (LGPD, Lei 13.709/2018, art. 18; GDPR, art. 15 and 17): to see what is kept, and have it erased."""

from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update

from contracts import interaction
from contracts.customer import ERASED
from kit import clock
from kit.errors import BadGateway, Conflict, DeadlineExceeded, Unavailable
from kit.outbox import emit
from services.customer.domain.customers import (
    NoSuchCustomer,
    check_neither_merged_nor_erased,
    get_customer,
    lock_with_merged,
    note,
)
from services.customer.models import Change, Customer, Import, ImportRow, db

ERASED_NAME = "Erased"
KEPT_COLUMNS = {"tenant_id", "id", "type", "lifecycle_stage", "merged_into_id", "erased_at", "created_at", "updated_at"}
KEPT_COLUMNS |= {"version", "is_active", "deactivated_at", "deactivated_by"}


class ImportUnderWay(Conflict):
    """A file of customers is being imported, which could bring this one back. Erase it when the import has ended."""


def overview(customer_id: UUID) -> dict[str, Any]:
    """A customer with their latest interactions and their balances. Raises NoSuchCustomer.

    When interaction cannot be reached, its part is None and `unavailable` says so: the rest is worth having.
    """
    customer = get_customer(customer_id)
    try:
        return {"customer": customer, "history": interaction.summary_of(customer_id), "unavailable": []}
    except (BadGateway, DeadlineExceeded, Unavailable):
        return {"customer": customer, "history": None, "unavailable": ["interaction"]}


def export_customer(customer_id: UUID) -> dict[str, Any]:
    """Everything that is kept about a customer, in all services. Raises NoSuchCustomer."""
    customer = get_customer(customer_id)
    records = interaction.records_of(customer_id)
    return {
        "customer": customer,
        "merged": _merged_into(customer_id),
        "history": list(db.session.scalars(select(Change).where(_about(customer_id)).order_by(Change.created_at))),
        "interactions": records.interactions,
        "transactions": records.transactions,
        "exported_at": clock.now(),
    }


def erase_customer(customer_id: UUID) -> Customer:
    """Forget who a customer was, here and in the services that know them; that there was one, and the money, stays.

    Answers that are kept to be repeated (`Idempotency-Key`) forget within a day. Raises NoSuchCustomer,
    CustomerMerged, CustomerErased, ImportUnderWay.
    """
    lock_with_merged([customer_id])
    customer = db.lock(Customer, customer_id, NoSuchCustomer)
    check_neither_merged_nor_erased(customer)
    if db.session.scalar(select(Import.id).where(Import.due_at.is_not(None), ~Import.is_dry_run).limit(1)):
        raise ImportUnderWay
    everyone = [customer, *_merged_into(customer_id)]
    db.session.execute(
        update(Change).where(_about(customer_id)).values(changes={}),
        execution_options={"synchronize_session": False},
    )
    db.session.execute(
        update(ImportRow).where(ImportRow.customer_id.in_([one.id for one in everyone])).values(cells=None, errors={}),
        execution_options={"synchronize_session": False},
    )
    for one in everyone:
        _forget(one)
        emit(db, ERASED, customer_id=str(one.id))
    note(customer, "erased")
    db.session.flush()
    return customer


def _merged_into(customer_id: UUID) -> list[Customer]:
    query = select(Customer).where(Customer.merged_into_id == customer_id).order_by(Customer.created_at, Customer.id)
    return list(db.session.scalars(query))


def _about(customer_id: UUID) -> Any:
    ids = select(Customer.id).where(or_(Customer.id == customer_id, Customer.merged_into_id == customer_id))
    return Change.customer_id.in_(ids)


def _forget(customer: Customer) -> None:
    for column in Customer.__table__.columns:
        if column.name not in KEPT_COLUMNS:
            empty: Any = None if column.nullable else type(getattr(customer, column.name))()
            setattr(customer, column.name, empty)
    customer.name, customer.erased_at = ERASED_NAME, clock.now()
    if customer.is_active:
        customer.is_active, customer.deactivated_at = False, clock.now()
