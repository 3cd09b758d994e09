"""The verbs of interaction. Plain functions: no HTTP, no JSON, no commit."""

from services.interaction.domain.facts import follow_merge, forget_customer, remove_customer
from services.interaction.domain.interactions import (
    deactivate_interaction,
    get_interaction,
    list_interactions,
    list_interactions_of,
    record_interaction,
    remove_interaction,
    update_interaction,
)
from services.interaction.domain.records import everything, glance
from services.interaction.domain.settling import reverse_transaction, settle_transaction
from services.interaction.domain.statements import Statement, show_balances, statement, summarise
from services.interaction.domain.timeline import show_timeline
from services.interaction.domain.transactions import (
    get_transaction,
    list_transactions,
    list_transactions_of,
    record_transaction,
)
from services.interaction.domain.types import (
    activate_type,
    create_type,
    deactivate_type,
    get_type,
    list_types,
    remove_type,
    rename_type,
)

__all__ = [
    "Statement",
    "activate_type",
    "create_type",
    "deactivate_interaction",
    "deactivate_type",
    "everything",
    "follow_merge",
    "forget_customer",
    "get_interaction",
    "get_transaction",
    "get_type",
    "glance",
    "list_interactions",
    "list_interactions_of",
    "list_transactions",
    "list_transactions_of",
    "list_types",
    "record_interaction",
    "record_transaction",
    "remove_customer",
    "remove_interaction",
    "remove_type",
    "rename_type",
    "reverse_transaction",
    "settle_transaction",
    "show_balances",
    "show_timeline",
    "statement",
    "summarise",
    "update_interaction",
]
