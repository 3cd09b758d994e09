"""Merging: several records of one customer become one; the others stay behind as pointers to it."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import update

from contracts.customer import MERGED
from kit import lifecycle, preconditions
from kit.errors import ValidationError
from kit.outbox import emit
from services.customer.domain.customers import NoSuchCustomer, change, check_alive, lock_with_merged, note
from services.customer.models import Customer, db

MAX_LIST = 50
MAX_NOTES = 10_000

# A single value: the survivor's own, or the first that a source has. A document goes with its type.
SINGLE = (
    ("legal_name",),
    ("email",),
    ("phone",),
    ("document", "document_type"),
    ("birth_date",),
    ("owner_id",),
    ("source",),
    ("external_id",),
    ("preferred_language",),
    ("timezone",),
)
ALWAYS_THERE = ("name", "type", "lifecycle_stage")  # the survivor's, unless a rule says otherwise


def merge_customers(
    customer_id: UUID, *, source_ids: list[UUID], field_rules: dict[str, UUID], dry_run: bool = False
) -> Any:
    """Take the sources into a customer: what it lacks it gets from them, lists are united, their history follows.

    `field_rules` names, for a field, the customer whose value wins. With `dry_run` the outcome is shown and nothing
    changes. Raises NoSuchCustomer, CustomerMerged, CustomerErased, CustomerInactive, PreconditionFailed, and
    ValidationError for sources that do not exist or rules about others.
    """
    survivor, sources = _lock(customer_id, source_ids)
    preconditions.check(survivor)
    for customer in (survivor, *sources):
        check_alive(customer)
    merged = _united(survivor, sources, _chosen(survivor, sources, field_rules))
    if dry_run:
        columns = {column.key: getattr(survivor, column.key) for column in Customer.__mapper__.column_attrs}
        return SimpleNamespace(**columns | merged)
    for source in sources:
        _retire(source, survivor)
    db.session.flush()  # first, so that the values of the sources are free for the survivor
    change(survivor, "merged", merged)
    db.session.flush()
    for source in sources:
        emit(db, MERGED, loser_id=str(source.id), winner_id=str(survivor.id))
    return survivor


def _lock(customer_id: UUID, source_ids: list[UUID]) -> tuple[Customer, list[Customer]]:
    customers = lock_with_merged([customer_id, *source_ids])
    if customer_id not in customers:
        raise NoSuchCustomer
    missing = [str(id) for id in source_ids if id not in customers]
    if missing:
        raise ValidationError(errors={"source_ids": [f"There is no customer {', '.join(missing)}."]})
    if customer_id in source_ids:
        raise ValidationError(errors={"source_ids": ["A customer cannot be merged into itself."]})
    return customers[customer_id], [customers[id] for id in dict.fromkeys(source_ids)]


def _chosen(survivor: Customer, sources: list[Customer], rules: dict[str, UUID]) -> dict[str, Customer]:
    by_id = {customer.id: customer for customer in (survivor, *sources)}
    faults = {name: ["Name a customer that takes part."] for name, id in rules.items() if id not in by_id}
    if faults:
        raise ValidationError(errors={"field_rules": faults})
    return {name: by_id[id] for name, id in rules.items()}


def _united(survivor: Customer, sources: list[Customer], chosen: dict[str, Customer]) -> dict[str, Any]:
    everyone = (survivor, *sources)
    merged: dict[str, Any] = {name: getattr(chosen[name], name) for name in ALWAYS_THERE if name in chosen}
    for names in SINGLE:
        having = (customer for customer in everyone if getattr(customer, names[0]) is not None)
        giver = chosen.get(names[0]) or next(having, survivor)
        merged |= {name: getattr(giver, name) for name in names}
    merged["emails"] = _union(everyone, lambda one: [one.email, *one.emails], merged["email"])
    merged["phones"] = _union(everyone, lambda one: [one.phone, *one.phones], merged["phone"])
    merged["tags"] = _union(everyone, lambda one: one.tags)
    merged["addresses"] = _union(everyone, lambda one: one.addresses)
    merged["custom"] = _custom(everyone)
    merged["consents"] = _consents(everyone)
    notes = "\n\n".join(dict.fromkeys(one.notes for one in everyone if one.notes)) or None
    merged["notes"] = notes if notes and len(notes) <= MAX_NOTES else survivor.notes
    return merged


def _union(everyone: Iterable[Customer], values: Callable[[Customer], list[Any]], without: Any = None) -> list[Any]:
    """Each value once, in order; the sources keep what exceeds the limit."""
    united: list[Any] = []
    for one in everyone:
        united += [value for value in values(one) if value not in (None, without) and value not in united]
    return united[:MAX_LIST]


def _custom(everyone: Iterable[Customer]) -> dict[str, Any]:
    """Each member once, of the first who has it; the sources keep what exceeds the limit here as well."""
    united: dict[str, Any] = {}
    for one in everyone:
        united = united | {name: value for name, value in one.custom.items() if name not in united}
    return dict(islice(united.items(), MAX_LIST))


def _consents(everyone: Iterable[Customer]) -> dict[str, Any]:
    """For each channel what was said last; of two words at one moment, the refusal."""
    said: dict[str, Any] = {}
    for one in everyone:
        for channel, consent in one.consents.items():
            known = said.get(channel)
            if known is None or _rank(consent) > _rank(known):
                said[channel] = consent
    return said


def _rank(consent: dict[str, Any]) -> tuple[datetime, bool]:
    # As moments: as texts, a second would come after every fraction of it.
    said_at = datetime.fromisoformat(consent["at"]) if consent.get("at") else datetime.min.replace(tzinfo=UTC)
    return said_at, not consent["granted"]


def _retire(source: Customer, survivor: Customer) -> None:
    lifecycle.deactivate(source)
    source.merged_into_id = survivor.id
    note(source, "merged", {"merged_into_id": [None, survivor.id]})
    earlier = update(Customer).where(Customer.merged_into_id == source.id)
    turned = earlier.values(merged_into_id=survivor.id, version=Customer.version + 1)
    db.session.execute(turned, execution_options={"synchronize_session": False})
