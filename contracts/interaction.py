"""How the rest of the platform speaks to interaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from kit.client import Sibling

api = Sibling("interaction")


@dataclass(frozen=True, slots=True)
class Summary:
    """A customer at a glance. `interactions` are the latest, `balances` one per currency, in minor units."""

    interaction_count: int
    last_interaction_at: datetime | None
    transaction_count: int
    interactions: list[dict[str, Any]]
    balances: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Records:
    """Everything that is kept about a customer, as people see it."""

    interactions: list[dict[str, Any]]
    transactions: list[dict[str, Any]]


def summary_of(customer_id: UUID) -> Summary:
    """The customer's history in a few figures and lines; zeros for one without history."""
    return api.get(Summary, "internal", "customers", customer_id, "summary")


def records_of(customer_id: UUID) -> Records:
    """The customer's whole history, for the person's own right to it."""
    return api.get(Records, "internal", "customers", customer_id, "records")
