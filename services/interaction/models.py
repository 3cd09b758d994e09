"""The nouns of interaction."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from kit import clock
from kit.db import Database, Entry, Record, TenantOwned, one_of, unique_among_active
from kit.idempotency import replay_table
from kit.identity import current
from kit.lifecycle import Retirable
from kit.outbox import inbox_table
from kit.search import word_table

db = Database()

DIRECTIONS = ("inbound", "outbound", "internal")
KINDS = ("income", "expense", "receivable", "payable")
PROMISES = ("receivable", "payable")  # they move no money before they are settled
METHODS = ("cash", "pix", "card", "boleto", "transfer", "other")
REASONS = ("merged", "erased", "removed")
CURRENCY = "BRL"

# What a row does to the customer's balance and to what is still owed; a reversal undoes it. The same rule is in the
# domain: a ledger is right when two who know the rule agree on every row.
SIGN = "CASE WHEN reverses_id IS NULL THEN amount ELSE -amount END"
BALANCE = f"CASE kind WHEN 'income' THEN 1 WHEN 'expense' THEN -1 ELSE 0 END * {SIGN}"
OUTSTANDING = (
    "CASE WHEN kind = 'receivable' OR (kind = 'expense' AND settles_id IS NOT NULL) THEN 1 "
    f"WHEN kind = 'payable' OR (kind = 'income' AND settles_id IS NOT NULL) THEN -1 ELSE 0 END * {SIGN}"
)


class InteractionType(db.Model, TenantOwned, Record, Retirable):
    """A kind of interaction: a call, a visit. Its code is stable, its name is for people."""

    __table_args__ = (
        unique_among_active("interaction_type", "code"),
        Index("ix_interaction_type_name", "tenant_id", "name", "id"),
    )
    # C collation, so that the database and a cursor agree on what comes next, on every server.
    code: Mapped[str] = mapped_column(Text(collation="C"))
    name: Mapped[str] = mapped_column(Text(collation="C"))


class Interaction(db.Model, TenantOwned, Record, Retirable):
    """Something that happened with a customer, as somebody wrote it down."""

    __table_args__ = (
        one_of("direction", DIRECTIONS),
        ForeignKeyConstraint(["tenant_id", "type_id"], ["interaction_type.tenant_id", "interaction_type.id"]),
        Index("ix_interaction_happened_at", "tenant_id", "happened_at", "id"),
        Index("ix_interaction_created_at", "tenant_id", "created_at", "id"),
        Index("ix_interaction_customer_id", "tenant_id", "customer_id", "happened_at", "id"),
        Index("ix_interaction_type_id", "tenant_id", "type_id"),
    )
    customer_id: Mapped[UUID]
    type_id: Mapped[UUID]
    ds_notes: Mapped[str]
    subject: Mapped[str | None]
    direction: Mapped[str | None]
    outcome: Mapped[str | None]
    happened_at: Mapped[datetime] = mapped_column(default=clock.now)
    duration_seconds: Mapped[int | None]
    user_id: Mapped[UUID | None] = mapped_column(default=lambda: current.user_id)
    related: Mapped[dict[str, Any]] = mapped_column(default=dict)
    pinned: Mapped[bool] = mapped_column(default=False)

    type: Mapped[InteractionType] = relationship(viewonly=True, lazy="selectin")

    def searchable(self) -> tuple[str | None, ...]:
        """The texts whose words find this interaction."""
        return (self.ds_notes, self.subject, self.outcome)


class Standing:
    """How a line of the ledger stands, now: not kept, but found out by `domain.standings` before it is answered.

    The amounts are those of a promise: what was paid of it, and what is left.
    """

    status = "open"
    settled_amount = 0
    outstanding_amount = 0
    is_overdue = False


class Transaction(db.Model, TenantOwned, Entry, Standing):
    """A line of the ledger: money that moved, or a promise of it. Never changed; another line reverses it.

    `settles_id` is the promise that this money keeps; the reversal of such a line carries it too, so that what is left
    of a promise is one sum. `happened_at` is its place on the timeline.
    """

    __table_args__ = (
        one_of("kind", KINDS),
        one_of("method", METHODS),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(kind IN ('receivable', 'payable')) = (due_date IS NOT NULL)", name="due_date"),
        CheckConstraint("settles_id IS NULL OR kind IN ('income', 'expense')", name="settles_id"),
        CheckConstraint(f"balance_delta = {BALANCE}", name="balance_delta"),
        CheckConstraint(f"outstanding_delta = {OUTSTANDING}", name="outstanding_delta"),
        ForeignKeyConstraint(["tenant_id", "settles_id"], ["transaction.tenant_id", "transaction.id"]),
        ForeignKeyConstraint(["tenant_id", "reverses_id"], ["transaction.tenant_id", "transaction.id"]),
        Index("uq_transaction_reverses_id", "tenant_id", "reverses_id", unique=True),
        Index("uq_transaction_idempotency_key", "tenant_id", "idempotency_key", unique=True),
        Index("ix_transaction_settles_id", "tenant_id", "settles_id", postgresql_where=text("settles_id IS NOT NULL")),
        Index("ix_transaction_due_date", "tenant_id", "due_date", postgresql_where=text("due_date IS NOT NULL")),
        Index("ix_transaction_occurred_on", "tenant_id", "occurred_on", "id"),
        Index("ix_transaction_created_at", "tenant_id", "created_at", "id"),
        Index("ix_transaction_customer_id", "tenant_id", "customer_id", "occurred_on", "id"),
        Index("ix_transaction_happened_at", "tenant_id", "customer_id", "happened_at", "id"),
    )
    customer_id: Mapped[UUID]
    kind: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(default=CURRENCY)
    occurred_on: Mapped[date]
    happened_at: Mapped[datetime]
    due_date: Mapped[date | None]
    category: Mapped[str | None]
    description: Mapped[str | None]
    method: Mapped[str | None]
    reference: Mapped[str | None]
    settles_id: Mapped[UUID | None]
    reverses_id: Mapped[UUID | None]
    balance_delta: Mapped[int] = mapped_column(BigInteger)
    outstanding_delta: Mapped[int] = mapped_column(BigInteger)
    idempotency_key: Mapped[str]

    version = None  # it has only one, so that no If-Match can name it


class Departure(db.Model, TenantOwned):
    """A customer about whom nothing can be recorded any more: merged into `winner_id`, erased, or removed.

    What was on its way when the customer departed is thereby sent to the winner, or refused.
    """

    __table_args__ = (
        one_of("reason", REASONS),
        CheckConstraint("(reason = 'merged') = (winner_id IS NOT NULL)", name="winner_id"),
        Index("ix_departure_winner_id", "tenant_id", "winner_id"),
    )
    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    reason: Mapped[str]
    winner_id: Mapped[UUID | None]


InteractionWord = word_table(db, Interaction)
Inbox = inbox_table(db)
Replay = replay_table(db)
