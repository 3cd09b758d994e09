"""What customer tells: one was merged, erased or removed. Facts come in any order and more than once."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from kit.errors import ValidationError
from kit.identity import current
from services.interaction.domain.customers import locate, lock_alone
from services.interaction.models import Departure, Interaction, InteractionWord, Transaction, db

ERASED = "[erased]"
BULK = {"synchronize_session": False}


class MalformedFact(ValidationError):
    """This fact lacks an id that it should name."""


def follow_merge(**data: Any) -> None:
    """Take the loser's rows to the winner, or to where the winner went, and send there what still comes.

    Who was merged into the loser before has its rows there already; only its pointer turns.
    """
    loser, winner = _ids(data, "loser_id", "winner_id")
    lock_alone(loser)
    home, reason = locate(winner)
    if home == loser:
        return
    _depart(loser, "merged", home, over=("merged", "erased", "removed"))
    earlier = update(Departure).where(Departure.winner_id == loser).values(winner_id=home)
    db.session.execute(earlier, execution_options=BULK)
    said = update(Interaction).where(Interaction.customer_id == loser)
    db.session.execute(said.values(customer_id=home, version=Interaction.version + 1), execution_options=BULK)
    moved = update(Transaction).where(Transaction.customer_id == loser).values(customer_id=home)
    db.session.execute(moved, execution_options=BULK)
    if reason == "erased":
        _forget(home)
    elif reason == "removed":
        _remove(home)


def forget_customer(**data: Any) -> None:
    """Erase what was said about a person; that something happened, and the money, stays."""
    (customer_id,) = _ids(data, "customer_id")
    lock_alone(customer_id)
    home, _ = locate(customer_id)
    # Of one that was merged this is told only when the winner is erased as well; and there its rows are.
    _depart(customer_id, "erased", None, over=())
    _forget(home)


def remove_customer(**data: Any) -> None:
    """Remove the interactions of a customer that is gone. The trail of the money stays, without its texts."""
    (customer_id,) = _ids(data, "customer_id")
    lock_alone(customer_id)
    home, _ = locate(customer_id)
    if home != customer_id:
        return  # only a pointer to the winner is gone
    _depart(customer_id, "removed", None, over=("erased",))
    _remove(customer_id)


def _ids(data: dict[str, Any], *names: str) -> list[UUID]:
    try:
        return [UUID(data[name]) for name in names]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise MalformedFact(errors={name: ["Name a customer by its id."] for name in names}) from error


def _depart(customer_id: UUID, reason: str, winner_id: UUID | None, *, over: tuple[str, ...]) -> None:
    """Remember a departure, in the place of an earlier one for one of these reasons."""
    row = {"tenant_id": current.tenant_id, "customer_id": customer_id, "reason": reason, "winner_id": winner_id}
    made = insert(Departure).values(row)
    if over:
        changed = {"reason": reason, "winner_id": winner_id}
        keys = [Departure.tenant_id, Departure.customer_id]
        made = made.on_conflict_do_update(index_elements=keys, set_=changed, where=Departure.reason.in_(over))
    else:
        made = made.on_conflict_do_nothing()
    db.session.execute(made)


def _forget(customer_id: UUID) -> None:
    own = select(Interaction.id).where(Interaction.customer_id == customer_id)
    db.session.execute(delete(InteractionWord).where(InteractionWord.record_id.in_(own)), execution_options=BULK)
    blank: dict[str, Any] = {"ds_notes": ERASED, "subject": None, "outcome": None, "related": {}}
    said = update(Interaction).where(Interaction.customer_id == customer_id)
    db.session.execute(said.values(**blank, version=Interaction.version + 1), execution_options=BULK)
    _blank_transactions(customer_id)


def _remove(customer_id: UUID) -> None:
    db.session.execute(delete(Interaction).where(Interaction.customer_id == customer_id), execution_options=BULK)
    _blank_transactions(customer_id)


def _blank_transactions(customer_id: UUID) -> None:
    own = update(Transaction).where(Transaction.customer_id == customer_id)
    db.session.execute(own.values(description=None, reference=None), execution_options=BULK)
