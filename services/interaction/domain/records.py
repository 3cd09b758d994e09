"""What customer asks for: a history at a glance, and the whole of it. Neither asks anybody in turn."""

from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from services.interaction.domain.statements import balances_of
from services.interaction.domain.transactions import standings
from services.interaction.models import Interaction, Transaction, db

LATEST = 5


def glance(customer_id: UUID) -> dict[str, Any]:
    """A customer's history in figures, and the latest interactions; zeros for one without history."""
    active = select(Interaction).where(Interaction.customer_id == customer_id, Interaction.is_active)
    latest = active.order_by(Interaction.happened_at.desc(), Interaction.id.desc()).limit(LATEST)
    figures = active.with_only_columns(func.count(Interaction.id), func.max(Interaction.happened_at))
    count, last_at = db.session.execute(figures).one()
    transactions = select(func.count(Transaction.id)).where(Transaction.customer_id == customer_id)
    return {
        "interaction_count": count,
        "last_interaction_at": last_at,
        "transaction_count": db.session.scalar(transactions),
        "interactions": list(db.session.scalars(latest)),
        "balances": balances_of(customer_id),
    }


def everything(customer_id: UUID) -> dict[str, Any]:
    """All that is kept about a customer, inactive interactions included, the oldest first."""
    interactions = select(Interaction).where(Interaction.customer_id == customer_id)
    transactions = select(Transaction).where(Transaction.customer_id == customer_id)
    return {
        "interactions": list(db.session.scalars(interactions.order_by(Interaction.happened_at, Interaction.id))),
        "transactions": standings(
            list(db.session.scalars(transactions.order_by(Transaction.occurred_on, Transaction.id)))
        ),
    }
