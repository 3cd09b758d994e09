"""What is done about a line of the ledger: a promise is settled, a line is reversed; each by adding another.

The line in question stays locked until the new one is there, so that of two who come at once the second sees what the
first has done. Nobody asks whether the customer is active: who has left may still pay, and be paid.
"""

from typing import Any
from uuid import UUID

from kit.errors import Conflict, ValidationError
from services.interaction.domain.transactions import add, lock_transaction
from services.interaction.models import PROMISES, Transaction

SETTLED_BY = {"receivable": "income", "payable": "expense"}


class NotSettleable(Conflict):
    """Only a receivable or a payable can be settled."""


class AlreadySettled(Conflict):
    """Nothing is left to settle."""


class SettlesTooMuch(ValidationError):
    """This is more than what is left to settle, which `left` says."""


class AlreadyReversed(Conflict):
    """This transaction was reversed."""


class IsAReversal(Conflict):
    """A reversal cannot be reversed. Record the transaction anew."""


class HasSettlements(Conflict):
    """Money was paid on this. Reverse the settlements first."""


def settle_transaction(
    customer_id: UUID, transaction_id: UUID, *, amount: int | None = None, **fields: Any
) -> Transaction:
    """Keep a promise, in part or whole (what is left): adds the income or the expense that did it.

    Raises NoSuchTransaction, CustomerMerged, NotSettleable, AlreadyReversed, AlreadySettled, SettlesTooMuch.
    """
    promise = lock_transaction(customer_id, transaction_id)
    if promise.kind not in PROMISES or promise.reverses_id:
        raise NotSettleable
    if promise.status == "reversed":
        raise AlreadyReversed
    left = promise.outstanding_amount
    if not left:
        raise AlreadySettled
    if amount is not None and amount > left:
        raise SettlesTooMuch(errors={"amount": [f"Only {left} is left."]}, left=left)
    return add(
        customer_id=promise.customer_id,
        kind=SETTLED_BY[promise.kind],
        amount=left if amount is None else amount,
        currency=promise.currency,
        category=promise.category,
        settles_id=promise.id,
        **fields,
    )


def reverse_transaction(customer_id: UUID, transaction_id: UUID, **fields: Any) -> Transaction:
    """Undo a line by its opposite. Reversing a settlement opens the promise again.

    Raises NoSuchTransaction, CustomerMerged, IsAReversal, AlreadyReversed, HasSettlements.
    """
    wrong = lock_transaction(customer_id, transaction_id)
    if wrong.reverses_id:
        raise IsAReversal
    if wrong.status == "reversed":
        raise AlreadyReversed
    if wrong.kind in PROMISES and wrong.settled_amount:
        raise HasSettlements
    return add(
        customer_id=wrong.customer_id,
        kind=wrong.kind,
        amount=wrong.amount,
        currency=wrong.currency,
        due_date=wrong.due_date,
        category=wrong.category,
        method=wrong.method,
        settles_id=wrong.settles_id,
        reverses_id=wrong.id,
        **fields,
    )
