"""Interactions: how they are recorded, changed and removed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from kit import lifecycle
from kit.errors import Conflict, NotFound
from kit.pages import Page, paginate
from kit.search import matching
from services.interaction.domain import types
from services.interaction.domain.customers import absent, check_active, check_known, check_not_merged, home_of
from services.interaction.models import Interaction, InteractionType, InteractionWord, db

SORTABLE = {
    "happened_at": Interaction.happened_at,
    "created_at": Interaction.created_at,
    "id": Interaction.id,
}
NEWEST_FIRST = "-happened_at"


class NoSuchInteraction(NotFound):
    """This interaction does not exist."""


class InteractionInactive(Conflict):
    """This interaction is deactivated, and can no longer be changed."""


def record_interaction(customer_id: UUID, *, type_reference: str, **fields: Any) -> Interaction:
    """Write down what happened with a customer. `type_reference` is the id or the code of an active type.

    Raises the refusals of `check_active`, and ValidationError for the type.
    """
    check_active(customer_id)
    interaction = Interaction(customer_id=home_of(customer_id), type_id=types.choose_type(type_reference), **fields)
    db.session.add(interaction)
    db.session.flush()
    return interaction


def get_interaction(customer_id: UUID, interaction_id: UUID) -> Interaction:
    """One interaction of a customer, active or not. Raises NoSuchInteraction, CustomerMerged."""
    interaction = db.session.scalar(select(Interaction).where(Interaction.id == interaction_id))
    if interaction is None or interaction.customer_id != customer_id:
        raise absent(customer_id, NoSuchInteraction)
    return interaction


def list_interactions_of(customer_id: UUID, **filters: Any) -> Page:
    """A page of a customer's interactions. Raises the refusals of `check_known`."""
    page = list_interactions(customer_id=customer_id, **filters)
    if not page.total:
        check_known(customer_id)
    return page


def list_interactions(
    *,
    page: int = 1,
    per_page: int = 20,
    cursor: str | None = None,
    sort: str | None = None,
    **selection: Any,
) -> Page:
    """A page of the interactions that `select_interactions` selects."""
    query, order = select_interactions(**selection), sort or NEWEST_FIRST
    return paginate(db, query, SORTABLE, page=page, per_page=per_page, cursor=cursor, sort=order)


def select_interactions(
    *,
    active_only: bool = True,
    type_reference: str | None = None,
    happened_from: datetime | None = None,
    happened_to: datetime | None = None,
    search: str | None = None,
    **equal: Any,
) -> Select[Any]:
    """Which interactions: `equal` holds columns that must have exactly a value; `happened_to` is not included."""
    query = select(Interaction).filter_by(**equal)
    if active_only:
        query = query.where(Interaction.is_active)
    if type_reference:
        query = query.where(Interaction.type_id.in_(select(InteractionType.id).where(types.named(type_reference))))
    if happened_from:
        query = query.where(Interaction.happened_at >= happened_from)
    if happened_to:
        query = query.where(Interaction.happened_at < happened_to)
    return matching(query, Interaction, InteractionWord, search)


def update_interaction(customer_id: UUID, interaction_id: UUID, **changes: Any) -> Interaction:
    """Change the given fields and leave the rest.

    Raises NoSuchInteraction, InteractionInactive, CustomerMerged, CustomerInactive (erased: nothing about this person
    may be written any more), PreconditionFailed, and ValidationError for a type.
    """
    home_of(customer_id)
    interaction = _lock(customer_id, interaction_id)
    if not interaction.is_active:
        raise InteractionInactive
    reference = changes.pop("type_reference", None)
    if reference and reference != str(interaction.type_id):  # what it is already may be out of use by now
        changes["type_id"] = types.choose_type(reference)
    for name, value in changes.items():
        setattr(interaction, name, value)
    db.session.flush()
    db.session.expire(interaction, ["type"])
    return interaction


def deactivate_interaction(customer_id: UUID, interaction_id: UUID) -> None:
    """Take an interaction out of the lists. Raises NoSuchInteraction, AlreadyInactive, CustomerMerged."""
    lifecycle.deactivate(_lock(customer_id, interaction_id))
    db.session.flush()


def remove_interaction(customer_id: UUID, interaction_id: UUID) -> None:
    """Remove an interaction for good, active or not. Raises NoSuchInteraction, CustomerMerged."""
    db.session.delete(_lock(customer_id, interaction_id))
    db.session.flush()


def _lock(customer_id: UUID, interaction_id: UUID) -> Interaction:
    check_not_merged(customer_id)
    interaction = db.lock(Interaction, interaction_id, NoSuchInteraction)
    if interaction.customer_id != customer_id:
        raise NoSuchInteraction
    return interaction
