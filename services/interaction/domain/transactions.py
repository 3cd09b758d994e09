"""Transactions: how money is recorded and listed, and how a line of the ledger stands.

Income and expense moved money: they change the balance. Receivable and payable are promises: they change what is
outstanding, and no balance before they are settled. A line's two effects are stored with it, signed, so that every
figure is a plain sum of rows.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import aliased

from kit import clock
from kit.errors import Conflict, NotFound, ValidationError
from kit.pages import Page, paginate
from services.interaction.domain.customers import absent, check_active, check_known, check_not_merged, home_of
from services.interaction.models import PROMISES, Transaction, db

SORTABLE = {
    "occurred_on": Transaction.occurred_on,
    "created_at": Transaction.created_at,
    "id": Transaction.id,
}
NEWEST_FIRST = "-occurred_on"
BALANCE = {"income": 1, "expense": -1}
OUTSTANDING = {"receivable": 1, "payable": -1}
LARGEST = 2**63 - 1  # of what the database keeps and JSON can be written with


class NoSuchTransaction(NotFound):
    """This transaction does not exist."""


class IdempotencyKeySpent(Conflict):
    """Another transaction was recorded with this Idempotency-Key before. Look it up, or choose a new key."""


class SumTooLarge(ValidationError):
    """The sum exceeds 9,223,372,036,854,775,807 minor units. Choose fewer transactions."""


def record_transaction(customer_id: UUID, *, idempotency_key: str, **fields: Any) -> Transaction:
    """Add a line to a customer's ledger. Raises the refusals of `check_active`, and IdempotencyKeySpent."""
    check_active(customer_id)
    return add(customer_id=home_of(customer_id), idempotency_key=idempotency_key, **fields)


def add(*, kind: str, amount: int, occurred_on: date | None = None, idempotency_key: str, **fields: Any) -> Transaction:
    """Write a line with its effects; those of a reversal are the opposite ones. Raises IdempotencyKeySpent."""
    # The answer to a key is repeated for a day; that its money was moved is remembered for ever. Two who come at once
    # are told apart by the unique index.
    if db.session.scalar(select(Transaction.id).where(Transaction.idempotency_key == idempotency_key)):
        raise IdempotencyKeySpent
    moment = clock.now()
    signed = -amount if fields.get("reverses_id") else amount
    settled = -BALANCE.get(kind, 0) if fields.get("settles_id") else 0  # money that came in is no longer owed to us
    transaction = Transaction(
        kind=kind,
        amount=amount,
        occurred_on=occurred_on or moment.date(),
        happened_at=_place(occurred_on, moment),
        balance_delta=signed * BALANCE.get(kind, 0),
        outstanding_delta=signed * (settled or OUTSTANDING.get(kind, 0)),
        idempotency_key=idempotency_key,
        **fields,
    )
    db.session.add(transaction)
    db.session.flush()
    return standings([transaction])[0]


def get_transaction(customer_id: UUID, transaction_id: UUID) -> Transaction:
    """One line of a customer's ledger. Raises NoSuchTransaction, CustomerMerged."""
    transaction = db.session.scalar(select(Transaction).where(Transaction.id == transaction_id))
    if transaction is None or transaction.customer_id != customer_id:
        raise absent(customer_id, NoSuchTransaction)
    return standings([transaction])[0]


def lock_transaction(customer_id: UUID, transaction_id: UUID) -> Transaction:
    """The same, locked, and its customer's rows kept where they are. Raises NoSuchTransaction, CustomerMerged."""
    check_not_merged(customer_id)
    transaction = db.lock(Transaction, transaction_id, NoSuchTransaction)
    if transaction.customer_id != customer_id:
        raise NoSuchTransaction
    return standings([transaction])[0]


def list_transactions_of(customer_id: UUID, **filters: Any) -> Page:
    """A page of a customer's ledger. Raises the refusals of `check_known`."""
    page = list_transactions(customer_id=customer_id, **filters)
    if not page.total:
        check_known(customer_id)
    return page


def list_transactions(
    *,
    page: int = 1,
    per_page: int = 20,
    cursor: str | None = None,
    sort: str | None = None,
    **selection: Any,
) -> Page:
    """A page of the transactions that `select_transactions` selects."""
    query, order = select_transactions(**selection), sort or NEWEST_FIRST
    found = paginate(db, query, SORTABLE, page=page, per_page=per_page, cursor=cursor, sort=order)
    standings(found.items)
    return found


def select_transactions(
    *,
    status: str | None = None,
    occurred_from: date | None = None,
    occurred_to: date | None = None,
    due_from: date | None = None,
    due_to: date | None = None,
    **equal: Any,
) -> Select[Any]:
    """Which transactions: `equal` holds columns that must have exactly a value; all four days are included."""
    query = select(Transaction).filter_by(**equal)
    if occurred_from:
        query = query.where(Transaction.occurred_on >= occurred_from)
    if occurred_to:
        query = query.where(Transaction.occurred_on <= occurred_to)
    if due_from:
        query = query.where(Transaction.due_date >= due_from)
    if due_to:
        query = query.where(Transaction.due_date <= due_to)
    return query.where(*_standing_as(status)) if status else query


def standings(transactions: Sequence[Transaction]) -> Sequence[Transaction]:
    """The same transactions, each with how it stands: two queries, however many they are."""
    ids = [transaction.id for transaction in transactions]
    if not ids:
        return transactions
    undone = set(db.session.scalars(select(Transaction.reverses_id).where(Transaction.reverses_id.in_(ids))))
    paid = select(Transaction.settles_id, func.sum(Transaction.outstanding_delta))
    paid = paid.where(Transaction.settles_id.in_(ids)).group_by(Transaction.settles_id)
    settled = {id: abs(int(amount)) for id, amount in db.session.execute(paid)}
    for one in transactions:
        standing = _standing(one, one.id in undone, settled.get(one.id, 0))
        one.status, one.settled_amount, one.outstanding_amount, one.is_overdue = standing
    return transactions


def last_day() -> date:
    """The day that it still is somewhere on Earth (UTC-12): what was due before it is overdue everywhere.

    A due date has no time zone; nobody is called late while their calendar still shows the day.
    """
    return (clock.now() - timedelta(hours=12)).date()


def exact(total: Any) -> int:
    """A sum from the database as a whole number that an answer can carry. Raises SumTooLarge."""
    whole = int(total or 0)
    if abs(whole) > LARGEST:
        raise SumTooLarge
    return whole


def _place(occurred_on: date | None, moment: datetime) -> datetime:
    """Where a line stands on the timeline: at its moment, or at the beginning of an earlier or later day."""
    is_today = occurred_on is None or occurred_on == moment.date()
    return moment if is_today else datetime.combine(occurred_on or moment, time(), UTC)


def _standing(transaction: Transaction, is_undone: bool, settled: int) -> tuple[str, int, int, bool]:
    if transaction.reverses_id or is_undone:
        return "reversal" if transaction.reverses_id else "reversed", 0, 0, False
    if transaction.kind not in PROMISES:
        return "settled", transaction.amount, 0, False
    left = transaction.amount - settled
    is_overdue = left > 0 and transaction.due_date is not None and transaction.due_date < last_day()
    status = "settled" if not left else "overdue" if is_overdue else "partly_settled" if settled else "open"
    return status, settled, left, is_overdue


def _standing_as(status: str) -> list[ColumnElement[bool]]:
    """The conditions of a status. Open is every promise with something left, overdue or partly settled or neither."""
    other = aliased(Transaction)
    undone = exists().where(other.tenant_id == Transaction.tenant_id, other.reverses_id == Transaction.id)
    if status == "reversed":
        return [undone]
    paid = select(func.coalesce(func.sum(other.outstanding_delta), 0))
    paid = paid.where(other.tenant_id == Transaction.tenant_id, other.settles_id == Transaction.id)
    left = Transaction.outstanding_delta + paid.correlate(Transaction).scalar_subquery()
    stands: list[ColumnElement[bool]] = [Transaction.reverses_id.is_(None), ~undone]
    is_promise = Transaction.kind.in_(PROMISES)
    if status == "settled":
        return [*stands, ~is_promise | (left == 0)]
    late = [Transaction.due_date < last_day()] if status == "overdue" else []
    return [*stands, is_promise, left != 0, *late]
