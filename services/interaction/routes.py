"""Interaction over HTTP."""

from typing import Any
from uuid import UUID

from flask import Response, request

from contracts.customer import ERASED, MERGED, REMOVED
from kit import idempotency, sheets
from kit.blueprint import Blueprint
from kit.idempotency import key_required
from kit.identity import internal, requires
from kit.lanes import slow
from kit.outbox import listener
from kit.pages import Page
from kit.schema import PageQuery, Removal
from services.interaction import domain, schemas
from services.interaction.models import Inbox, Interaction, InteractionType, Transaction, db

customers = Blueprint("customers", __name__, url_prefix="/customers", description="What happened with a customer.")
interactions = Blueprint("interactions", __name__, url_prefix="/interactions", description="What happened.")
types = Blueprint("types", __name__, url_prefix="/interaction-types", description="Kinds of interactions.")
transactions = Blueprint("transactions", __name__, url_prefix="/transactions", description="Money, of all customers.")
siblings = Blueprint("siblings", __name__, url_prefix="/internal")


# --- Interactions ----------------------------------------------------------------------------------------------------


@customers.post("/<uuid:customer_id>/interactions")
@requires("interaction:write")
@customers.accepts(schemas.Interaction)
@customers.answers(201, schemas.Interaction, message="Interaction recorded.")
def record_interaction(data: dict[str, Any], customer_id: UUID) -> Interaction:
    """Record what happened with a customer."""
    return domain.record_interaction(customer_id, **data)


@customers.get("/<uuid:customer_id>/interactions")
@requires("interaction:read")
@customers.filters(schemas.InteractionFilters)
@customers.answers(200, schemas.Interaction)
def list_interactions_of(filters: dict[str, Any], customer_id: UUID) -> Page:
    """List a customer's interactions, the newest first."""
    return domain.list_interactions_of(customer_id, **filters)


@customers.get("/<uuid:customer_id>/interactions/<uuid:interaction_id>")
@requires("interaction:read")
@customers.answers(200, schemas.Interaction)
def get_interaction(customer_id: UUID, interaction_id: UUID) -> Interaction:
    """Show an interaction."""
    return domain.get_interaction(customer_id, interaction_id)


@customers.put("/<uuid:customer_id>/interactions/<uuid:interaction_id>")
@requires("interaction:write")
@customers.accepts(schemas.Interaction(partial=True))
@customers.answers(200, schemas.Interaction, message="Interaction updated.")
def update_interaction(data: dict[str, Any], customer_id: UUID, interaction_id: UUID) -> Interaction:
    """Change an interaction, in part or whole."""
    return domain.update_interaction(customer_id, interaction_id, **data)


@customers.delete("/<uuid:customer_id>/interactions/<uuid:interaction_id>")
@requires("interaction:delete")
@customers.filters(Removal)
@customers.answers(200, message="Interaction removed.")
def remove_interaction(how: dict[str, Any], customer_id: UUID, interaction_id: UUID) -> None:
    """Deactivate an interaction, or remove it for good with `hard_delete=true`."""
    verb = domain.remove_interaction if how["hard_delete"] else domain.deactivate_interaction
    verb(customer_id, interaction_id)


@interactions.get("/")
@requires("interaction:read")
@interactions.filters(schemas.AllInteractionFilters)
@interactions.answers(200, schemas.Interaction)
def list_interactions(filters: dict[str, Any]) -> Page:
    """List the interactions of all customers, the newest first."""
    return domain.list_interactions(**filters)


@customers.get("/<uuid:customer_id>/timeline")
@requires("interaction:read")
@customers.filters(PageQuery)
@customers.answers(200, schemas.Event)
def show_timeline(page: dict[str, Any], customer_id: UUID) -> Page:
    """List a customer's interactions and transactions together, the newest first."""
    return domain.show_timeline(customer_id, **page)


# --- Types -----------------------------------------------------------------------------------------------------------


@types.post("/")
@requires("interaction:manage")
@types.accepts(schemas.InteractionType)
@types.answers(201, schemas.InteractionType, message="Type created.")
def create_type(data: dict[str, Any]) -> InteractionType:
    """Create a type of interaction."""
    return domain.create_type(**data)


@types.get("/")
@requires("interaction:read")
@types.filters(schemas.TypeFilters)
@types.answers(200, schemas.InteractionType)
def list_types(filters: dict[str, Any]) -> Page:
    """List the types of interaction, by name."""
    return domain.list_types(**filters)


@types.get("/<uuid:type_id>")
@requires("interaction:read")
@types.answers(200, schemas.InteractionType)
def get_type(type_id: UUID) -> InteractionType:
    """Show a type of interaction."""
    return domain.get_type(type_id)


@types.put("/<uuid:type_id>")
@requires("interaction:manage")
@types.accepts(schemas.InteractionTypeName(partial=True))
@types.answers(200, schemas.InteractionType, message="Type updated.")
def rename_type(data: dict[str, Any], type_id: UUID) -> InteractionType:
    """Change the name of a type of interaction."""
    return domain.rename_type(type_id, **data)


@types.delete("/<uuid:type_id>")
@requires("interaction:manage")
@types.filters(Removal)
@types.answers(200, message="Type removed.")
def remove_type(how: dict[str, Any], type_id: UUID) -> None:
    """Deactivate a type of interaction, or remove an unused one for good with `hard_delete=true`."""
    verb = domain.remove_type if how["hard_delete"] else domain.deactivate_type
    verb(type_id)


@types.patch("/<uuid:type_id>/activate")
@requires("interaction:manage")
@types.answers(200, schemas.InteractionType, message="Type reactivated.")
def activate_type(type_id: UUID) -> InteractionType:
    """Bring a deactivated type back."""
    return domain.activate_type(type_id)


# --- Transactions ----------------------------------------------------------------------------------------------------


@customers.post("/<uuid:customer_id>/transactions")
@requires("transaction:write")
@key_required
@customers.accepts(schemas.Transaction)
@customers.answers(201, schemas.Transaction, message="Transaction recorded.")
def record_transaction(data: dict[str, Any], customer_id: UUID) -> Transaction:
    """Record money that moved, or a promise of it."""
    return domain.record_transaction(customer_id, idempotency_key=request.headers[idempotency.HEADER], **data)


@customers.get("/<uuid:customer_id>/transactions")
@requires("transaction:read")
@customers.filters(schemas.TransactionFilters)
@customers.answers(200, schemas.Transaction)
def list_transactions_of(filters: dict[str, Any], customer_id: UUID) -> Page:
    """List a customer's transactions, the newest first."""
    return domain.list_transactions_of(customer_id, **filters)


@customers.get("/<uuid:customer_id>/transactions/<uuid:transaction_id>")
@requires("transaction:read")
@customers.answers(200, schemas.Transaction)
def get_transaction(customer_id: UUID, transaction_id: UUID) -> Transaction:
    """Show a transaction."""
    return domain.get_transaction(customer_id, transaction_id)


@customers.post("/<uuid:customer_id>/transactions/<uuid:transaction_id>/settle")
@requires("transaction:write")
@key_required
@customers.accepts(schemas.Settlement)
@customers.answers(201, schemas.Transaction, message="Transaction settled.")
def settle_transaction(data: dict[str, Any], customer_id: UUID, transaction_id: UUID) -> Transaction:
    """Settle a receivable or a payable, in part or whole; answers the income or expense that did it."""
    key = request.headers[idempotency.HEADER]
    return domain.settle_transaction(customer_id, transaction_id, idempotency_key=key, **data)


@customers.post("/<uuid:customer_id>/transactions/<uuid:transaction_id>/reverse")
@requires("transaction:write")
@key_required
@customers.accepts(schemas.Reversal)
@customers.answers(201, schemas.Transaction, message="Transaction reversed.")
def reverse_transaction(data: dict[str, Any], customer_id: UUID, transaction_id: UUID) -> Transaction:
    """Undo a transaction by its opposite, which is the answer."""
    key = request.headers[idempotency.HEADER]
    return domain.reverse_transaction(customer_id, transaction_id, idempotency_key=key, **data)


@customers.get("/<uuid:customer_id>/balance")
@requires("transaction:read")
@customers.answers(200, schemas.Balances)
def show_balance(customer_id: UUID) -> dict[str, Any]:
    """Show a customer's balance in each currency, and what is owed."""
    return {"balances": domain.show_balances(customer_id)}


@customers.get("/<uuid:customer_id>/statement")
@requires("transaction:read")
@customers.filters(schemas.StatementPeriod)
@customers.answers(200, schemas.Statement)
def show_statement(period: dict[str, Any], customer_id: UUID) -> domain.Statement:
    """Show how a customer's balance came about."""
    return domain.statement(customer_id, **period)


@customers.get("/<uuid:customer_id>/statement.csv")
@requires("transaction:read")
@slow
@customers.filters(schemas.StatementPeriod)
@customers.answers(200)
def download_statement(period: dict[str, Any], customer_id: UUID) -> Response:
    """The entries of a customer's statement as a CSV file, with amounts in major units."""
    file = sheets.write(schemas.CSV_COLUMNS, schemas.csv_rows(domain.statement(customer_id, **period)))
    return Response(file, content_type="text/csv; charset=utf-8", headers=sheets.attachment("statement.csv"))


@transactions.get("/")
@requires("transaction:read")
@transactions.filters(schemas.AllTransactionFilters)
@transactions.answers(200, schemas.Transaction)
def list_transactions(filters: dict[str, Any]) -> Page:
    """List the transactions of all customers, the newest first."""
    return domain.list_transactions(**filters)


@transactions.get("/summary")
@requires("transaction:read")
@slow
@transactions.filters(schemas.Grouping)
@transactions.answers(200, schemas.Summary)
def summarise_transactions(grouping: dict[str, Any]) -> dict[str, Any]:
    """Sum up what was earned, spent and promised, by month, category or kind."""
    return {"summary": domain.summarise(**grouping)}


# --- Siblings --------------------------------------------------------------------------------------------------------


@siblings.get("/customers/<uuid:customer_id>/summary")
@internal("customer")
@siblings.answers(200, schemas.Glance)
def show_glance(customer_id: UUID) -> dict[str, Any]:
    """A customer's history at a glance."""
    return domain.glance(customer_id)


@siblings.get("/customers/<uuid:customer_id>/records")
@internal("customer")
@siblings.answers(200, schemas.Records)
def show_records(customer_id: UUID) -> dict[str, Any]:
    """All that is kept about a customer."""
    return domain.everything(customer_id)


FACTS = {
    MERGED.name: domain.follow_merge,
    ERASED.name: domain.forget_customer,
    REMOVED.name: domain.remove_customer,
}

blueprints = (customers, interactions, types, transactions, siblings, listener(db, Inbox, "customer", FACTS))
