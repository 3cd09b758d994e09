"""Types of interactions. Every tenant has six to begin with, without anybody having made them.

Their ids follow from the tenant's, so that they can be shown before they are stored; the first write that needs one
stores all six. From then on a tenant's types are what it makes of them.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Boolean, Integer, Select, Text, Uuid, cast, literal, select, union_all
from sqlalchemy.dialects.postgresql import TIMESTAMP, insert

from kit import lifecycle
from kit.errors import Conflict, NotFound, ValidationError
from kit.identity import current
from kit.pages import Page, paginate
from services.interaction.models import Interaction, InteractionType, db

STARTERS = {
    "call": "Call",
    "email": "E-mail",
    "meeting": "Meeting",
    "note": "Note",
    "visit": "Visit",
    "whatsapp": "WhatsApp",
}
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)  # since when there are starters: the same before and after they are stored
COLUMNS: dict[str, Any] = {
    "id": Uuid(),
    "code": Text(),
    "name": Text(),
    "is_active": Boolean(),
    "created_at": TIMESTAMP(timezone=True),
    "updated_at": TIMESTAMP(timezone=True),
    "version": Integer(),
}


class NoSuchInteractionType(NotFound):
    """This type of interaction does not exist."""


class InteractionTypeInactive(Conflict):
    """This type of interaction is deactivated. Reactivate it before changing it."""


class InteractionTypeInUse(Conflict):
    """Interactions are of this type, so that it cannot be removed for good. Deactivate it instead."""


class LastInteractionType(Conflict):
    """A tenant keeps one type of interaction at least. Deactivate it instead, or create another first."""


def create_type(*, code: str, name: str) -> InteractionType:
    """Keep a new type. A code that an active one has already is refused by the database: 409."""
    _store_starters()
    created = InteractionType(code=code, name=name)
    db.session.add(created)
    db.session.flush()
    return created


def list_types(*, active_only: bool = True, **page: Any) -> Page:
    """A page of the tenant's types, by name."""
    if _are_stored():
        query, columns = select(InteractionType), InteractionType.__table__.c
    else:
        columns = _unstored().c
        query = select(*columns)
    if active_only:
        query = query.where(columns.is_active)
    return paginate(db, query, {name: columns[name] for name in ("name", "code", "created_at", "id")}, **page)


def get_type(type_id: UUID) -> InteractionType:
    """One type, active or not. Raises NoSuchInteractionType."""
    if not _are_stored() and (starter := {one["id"]: one for one in _starters()}.get(type_id)):
        return InteractionType(**starter)  # only shown: a GET writes nothing
    return db.find(InteractionType, type_id, NoSuchInteractionType)


def rename_type(type_id: UUID, **changes: Any) -> InteractionType:
    """Change a type's name. Raises NoSuchInteractionType, InteractionTypeInactive, PreconditionFailed."""
    renamed = _lock(type_id)
    if not renamed.is_active:
        raise InteractionTypeInactive
    for name, value in changes.items():
        setattr(renamed, name, value)
    db.session.flush()
    return renamed


def deactivate_type(type_id: UUID) -> None:
    """Take a type out of use; interactions of it stay. Raises NoSuchInteractionType, AlreadyInactive."""
    lifecycle.deactivate(_lock(type_id))
    db.session.flush()


def activate_type(type_id: UUID) -> InteractionType:
    """Bring a type back, unless its code was taken meanwhile. Raises NoSuchInteractionType, AlreadyActive."""
    activated = _lock(type_id)
    lifecycle.activate(activated)
    db.session.flush()
    return activated


def remove_type(type_id: UUID) -> None:
    """Remove a type that no interaction is of, for good.

    Raises NoSuchInteractionType, InteractionTypeInUse, and LastInteractionType: without any, the six would be back.
    """
    db.hold("removal of interaction types")  # of two who remove the last two, the second finds one left
    removed = _lock(type_id)
    if db.session.scalar(select(Interaction.id).where(Interaction.type_id == type_id).limit(1)):
        raise InteractionTypeInUse
    if not db.session.scalar(select(InteractionType.id).where(InteractionType.id != type_id).limit(1)):
        raise LastInteractionType
    db.session.delete(removed)
    db.session.flush()


def choose_type(reference: str) -> UUID:
    """The id of the active type that a body names, by its id or its code. Raises ValidationError."""
    _store_starters()
    query = select(InteractionType.id).where(named(reference), InteractionType.is_active)
    chosen: UUID | None = db.session.scalar(query)
    if chosen is None:
        reason = "There is no active type of interaction with this id or code; see /interaction-types."
        raise ValidationError(errors={"id_interaction_type": [reason]})
    return chosen


def named(reference: str) -> Any:
    """The condition that a type has this id or code."""
    try:
        return InteractionType.id == UUID(reference)
    except ValueError:
        return InteractionType.code == reference


def _lock(type_id: UUID) -> InteractionType:
    _store_starters()
    return db.lock(InteractionType, type_id, NoSuchInteractionType)


def _are_stored() -> bool:
    return db.session.scalar(select(InteractionType.id).limit(1)) is not None


def _store_starters() -> None:
    # Two first writers wait for each other at the first row, and the later one finds all six there.
    if not _are_stored():
        rows = [{"tenant_id": current.tenant_id, **one} for one in _starters()]
        db.session.execute(insert(InteractionType).values(rows).on_conflict_do_nothing())


def _starters() -> list[dict[str, Any]]:
    stamps = {"is_active": True, "created_at": ALWAYS, "updated_at": ALWAYS, "version": 1}
    tenant: Any = current.tenant_id
    return [{"id": uuid5(tenant, code), "code": code, "name": name, **stamps} for code, name in STARTERS.items()]


def _unstored() -> Any:
    """The starters as a table, so that they are sorted and divided into pages like those that are stored."""

    def row(starter: dict[str, Any]) -> Select[Any]:
        return select(*(cast(literal(starter[name], kind), kind).label(name) for name, kind in COLUMNS.items()))

    return union_all(*(row(starter) for starter in _starters())).subquery("starter")
