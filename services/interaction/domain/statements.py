"""Figures: balances, statements and summaries, all plain sums of the ledger's rows, each currency by itself."""

from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import aliased

from kit.errors import ValidationError
from services.interaction.domain.customers import check_known
from services.interaction.domain.transactions import exact, last_day
from services.interaction.models import CURRENCY, Transaction, db

MAX_ENTRIES = 1000
MAX_GROUPS = 1000

GROUPS: dict[str, Any] = {
    "month": func.to_char(Transaction.occurred_on, "YYYY-MM"),
    "category": Transaction.category,
    "kind": Transaction.kind,
}
COPIED = ("id", "occurred_on", "kind", "description", "reference", "settles_id", "reverses_id")
FIGURES = ("income", "expense", "net", "receivable", "payable")


class StatementTooLong(ValidationError):
    """A statement has at most 1,000 entries. Choose a shorter period."""


class TooManyGroups(ValidationError):
    """A summary has at most 1,000 lines. Choose a shorter period, or another grouping."""


@dataclass(frozen=True, slots=True)
class Line:
    """A transaction that moved the balance: `amount` is its effect, with its sign, and `balance` what came of it."""

    id: UUID
    occurred_on: date
    kind: str
    description: str | None
    reference: str | None
    settles_id: UUID | None
    reverses_id: UUID | None
    amount: int
    balance: int


@dataclass(frozen=True, slots=True)
class Statement:
    """How a balance came about, from one day to another, both included. `lines` are in the order of their days."""

    customer_id: UUID
    currency: str
    since: date | None
    until: date | None
    opening_balance: int
    closing_balance: int
    lines: list[Line]


def show_balances(customer_id: UUID) -> list[dict[str, Any]]:
    """What `balances_of` says of a customer that exists. Raises the refusals of `check_known`."""
    found = balances_of(customer_id)
    if not found:
        check_known(customer_id)
    return found


def balances_of(customer_id: UUID) -> list[dict[str, Any]]:
    """For each currency: what was earned less what was spent, what is still owed to us and by us, and what is late.

    `overdue` is the part of `receivable` that should have been paid by now.
    """
    query = select(
        Transaction.currency,
        func.sum(Transaction.balance_delta),
        _sum(Transaction.outstanding_delta, Transaction.kind.in_(("receivable", "income"))),
        -_sum(Transaction.outstanding_delta, Transaction.kind.in_(("payable", "expense"))),
    )
    query = query.where(Transaction.customer_id == customer_id).group_by(Transaction.currency)
    late = _overdue(customer_id)
    return [
        {
            "currency": currency,
            "balance": exact(balance),
            "receivable": exact(receivable),
            "payable": exact(payable),
            "overdue": exact(late.get(currency)),
        }
        for currency, balance, receivable, payable in db.session.execute(query.order_by(Transaction.currency))
    ]


def statement(
    customer_id: UUID, *, currency: str | None = None, since: date | None = None, until: date | None = None
) -> Statement:
    """A customer's statement in one currency, which needs no name when there is only one.

    Raises the refusals of `check_known`, ValidationError when the currency must be named, and StatementTooLong.
    """
    chosen = currency or _only_currency(customer_id)
    own = (
        Transaction.customer_id == customer_id,
        Transaction.currency == chosen,
        Transaction.balance_delta != 0,
    )
    before = select(func.sum(Transaction.balance_delta)).where(*own)
    opening = exact(db.session.scalar(before.where(Transaction.occurred_on < since))) if since else 0
    columns = (getattr(Transaction, name) for name in COPIED)
    query = _within(select(*columns, Transaction.balance_delta.label("amount")).where(*own), since, until)
    query = query.order_by(Transaction.occurred_on, Transaction.id).limit(MAX_ENTRIES + 1)
    rows: list[Any] = list(db.session.execute(query))
    if len(rows) > MAX_ENTRIES:
        raise StatementTooLong
    if not rows:
        check_known(customer_id)
    _, *balances = accumulate((row.amount for row in rows), initial=opening)
    lines = [Line(**row._mapping, balance=exact(balance)) for row, balance in zip(rows, balances, strict=True)]
    return Statement(customer_id, chosen, since, until, opening, lines[-1].balance if lines else opening, lines)


def summarise(*, group_by: str = "month", since: date | None = None, until: date | None = None) -> list[dict[str, Any]]:
    """Sums of the tenant's ledger by month, category or kind, and currency.

    Income and expense are what moved, and net is their difference; receivable and payable are what was promised. A
    reversal counts on its own day, against what it reverses. Raises TooManyGroups.
    """
    group = GROUPS[group_by]
    query = select(
        group.label("group"),
        Transaction.currency,
        _sum(Transaction.balance_delta, Transaction.kind == "income").label("income"),
        (-_sum(Transaction.balance_delta, Transaction.kind == "expense")).label("expense"),
        func.sum(Transaction.balance_delta).label("net"),
        _sum(Transaction.outstanding_delta, Transaction.kind == "receivable").label("receivable"),
        (-_sum(Transaction.outstanding_delta, Transaction.kind == "payable")).label("payable"),
    )
    query = _within(query, since, until).group_by(group, Transaction.currency)
    query = query.order_by(group, Transaction.currency).limit(MAX_GROUPS + 1)
    rows = list(db.session.execute(query).mappings())
    if len(rows) > MAX_GROUPS:
        raise TooManyGroups
    return [dict(row) | {name: exact(row[name]) for name in FIGURES} for row in rows]


def _within(query: Select[Any], since: date | None, until: date | None) -> Select[Any]:
    if since:
        query = query.where(Transaction.occurred_on >= since)
    if until:
        query = query.where(Transaction.occurred_on <= until)
    return query


def _sum(column: Any, condition: ColumnElement[bool]) -> Any:
    return func.coalesce(func.sum(column).filter(condition), 0)


def _overdue(customer_id: UUID) -> dict[str, int]:
    """What is left of receivables that are overdue: they, what settled them, and what reversed either."""
    promise = aliased(Transaction)
    about = func.coalesce(Transaction.settles_id, Transaction.reverses_id, Transaction.id)
    query = select(Transaction.currency, func.sum(Transaction.outstanding_delta)).join(
        promise, (promise.tenant_id == Transaction.tenant_id) & (promise.id == about)
    )
    query = query.where(
        Transaction.customer_id == customer_id,
        Transaction.outstanding_delta != 0,
        promise.kind == "receivable",
        promise.due_date < last_day(),
    )
    return {currency: int(left) for currency, left in db.session.execute(query.group_by(Transaction.currency))}


def _only_currency(customer_id: UUID) -> str:
    query = select(Transaction.currency).where(Transaction.customer_id == customer_id).distinct()
    found = sorted(db.session.scalars(query))
    if len(found) > 1:
        raise ValidationError(errors={"currency": [f"Choose one of this customer's currencies: {', '.join(found)}."]})
    return found[0] if found else CURRENCY
