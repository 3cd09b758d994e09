"""Whom something can be recorded about: what the customer service says, and what its facts have said.

A customer may depart between the moment that its service is asked and the moment that a row is written. Therefore a
writer holds a shared lock on the customer's id, and looks for a departure under it; a departure takes the lock alone.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from contracts import customer
from kit.errors import Conflict, NotFound
from kit.identity import current
from services.interaction.models import Departure, Interaction, Transaction, db


class NoSuchCustomer(NotFound):
    """This customer does not exist."""


class CustomerInactive(Conflict):
    """This customer is deactivated. Reactivate it before recording anything about it."""


class CustomerMerged(Conflict):
    """This customer was merged into another, which `merged_into_id` names. Use that one."""


def check_active(customer_id: UUID) -> None:
    """Ask whether a customer can be worked with, before anything is written.

    Raises the refusal `no_such_customer`, CustomerMerged, CustomerInactive, and Unavailable when nobody answers.
    """
    if not _ask(customer_id).is_active:
        raise CustomerInactive


def check_known(customer_id: UUID) -> None:
    """A customer about whom nothing is here: does it exist? One with rows needs no question.

    Raises the refusal `no_such_customer`, CustomerMerged, Unavailable.
    """
    if not _has_rows(customer_id):
        _ask(customer_id)


def home_of(customer_id: UUID) -> UUID:
    """The customer under whom something new belongs, who cannot depart before this transaction ends.

    Raises NoSuchCustomer or CustomerInactive for one that was removed or erased meanwhile.
    """
    home, reason = locate(customer_id)
    if reason == "removed":
        raise NoSuchCustomer
    if reason == "erased":
        raise CustomerInactive
    return home


def check_not_merged(customer_id: UUID) -> None:
    """The same for a change of what is there: its address names the winner now. Raises CustomerMerged."""
    home, _ = locate(customer_id)
    if home != customer_id:
        raise CustomerMerged(merged_into_id=home)


def locate(customer_id: UUID) -> tuple[UUID, str | None]:
    """Where a customer's rows are, through all mergers, and why that one departed, if it did."""
    visited: set[UUID] = set()
    while True:
        _lock(func.pg_advisory_xact_lock_shared, customer_id)
        departure = departure_of(customer_id)
        if departure is None or departure.winner_id is None or departure.winner_id in visited:
            return customer_id, departure and departure.reason
        visited.add(customer_id)
        customer_id = departure.winner_id


def lock_alone(customer_id: UUID) -> None:
    """Wait until nobody is writing about this customer, and let nobody begin."""
    _lock(func.pg_advisory_xact_lock, customer_id)


def departure_of(customer_id: UUID) -> Departure | None:
    """How a customer departed, as the facts say that have arrived."""
    query = select(Departure).where(Departure.customer_id == customer_id)
    found: Departure | None = db.session.scalar(query.execution_options(populate_existing=True))
    return found


def absent(customer_id: UUID, missing: type[NotFound]) -> Exception:
    """What to raise when a customer has no such row: `missing`, or where its rows went."""
    departure = departure_of(customer_id)
    if departure and departure.winner_id:
        return CustomerMerged(merged_into_id=departure.winner_id)
    return missing()


def _ask(customer_id: UUID) -> customer.Customer:
    found = customer.find_customer(customer_id)
    if found.merged_into_id:
        raise CustomerMerged(merged_into_id=found.merged_into_id)
    return found


def _has_rows(customer_id: UUID) -> bool:
    return any(
        db.session.scalar(select(model.id).where(model.customer_id == customer_id).limit(1))
        for model in (Interaction, Transaction)
    )


def _lock(function: Any, customer_id: UUID) -> None:
    db.session.execute(select(function(func.hashtextextended(f"{current.tenant_id} customer {customer_id}", 0))))
