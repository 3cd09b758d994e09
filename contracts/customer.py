"""How the rest of the platform speaks to customer, and what customer tells."""

from dataclasses import dataclass
from uuid import UUID

from kit.client import Sibling
from kit.outbox import Fact

api = Sibling("customer")

MERGED = Fact("customer.merged", heard_by=("interaction",))  # loser_id, winner_id
ERASED = Fact("customer.erased", heard_by=("interaction",))  # customer_id: forget what was said about this person
REMOVED = Fact("customer.removed", heard_by=("interaction",))  # customer_id: gone for good


@dataclass(frozen=True, slots=True)
class Customer:
    """What siblings may know of a customer. One that was merged is inactive and names the one that lives on."""

    id: UUID
    name: str
    is_active: bool
    merged_into_id: UUID | None


@dataclass(frozen=True, slots=True)
class Found:
    customer: Customer


def find_customer(customer_id: UUID) -> Customer:
    """A customer of the caller's tenant, active or not. A refusal is the caller's 404 `no_such_customer`."""
    return api.get(Found, "internal", "customers", customer_id).customer
