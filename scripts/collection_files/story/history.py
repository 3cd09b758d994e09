"""What happened with a customer, the money between the two, and what a person may ask to be told or forgotten."""

from scripts.collection_files.step import Chapter, Step

RECEIVABLE = {"kind": "receivable", "amount": 90_000, "currency": "BRL", "due_date": "2031-01-31"}

INTERACTIONS = Chapter(
    "8. Calls and visits",
    "What was said and done goes on the customer's timeline. Some types of interaction are there from the beginning.",
    (
        Step(
            "interaction.record_interaction",
            "A call",
            {"ds_notes": "They want 200 a day from Monday on.", "id_interaction_type": "call"},
            shows={"interaction.interaction_type.code": "call"},
            keeps={"interactionId": "interaction.id"},
        ),
        Step("interaction.list_types", "The types that there are"),
        Step(
            "interaction.create_type",
            "A type of one's own",
            {"code": "tasting", "name": "Tasting"},
            keeps={"typeId": "interaction_type.id"},
        ),
        Step("interaction.rename_type", "Under another name", {"name": "Degustação"}),
        Step("interaction.get_type", "The type", shows={"interaction_type.name": "Degustação"}),
        Step(
            "interaction.record_interaction",
            "They tasted something",
            {"ds_notes": "They liked the small ones best.", "id_interaction_type": "tasting"},
            keeps={"tastingId": "interaction.id"},
        ),
        Step("interaction.remove_type", "The type goes out of use"),
        Step("interaction.activate_type", "The type comes back", shows={"interaction_type.is_active": True}),
        Step(
            "interaction.update_interaction",
            "The call had an outcome",
            {"outcome": "order", "duration_seconds": 240},
            shows={"interaction.outcome": "order"},
        ),
        Step("interaction.get_interaction", "The call", shows={"interaction.duration_seconds": 240}),
        Step("interaction.list_interactions_of", "All that happened with this customer", shows={"total": 2}),
        Step("interaction.remove_interaction", "The tasting was a mistake", at={"interaction_id": "{{tastingId}}"}),
        Step("interaction.list_interactions", "All that happened with anybody", shows={"total": 1}),
    ),
)

MONEY = Chapter(
    "9. Money",
    "A ledger for each customer: amounts are whole numbers of the currency's minor unit, and a line is never changed. "
    "Where money moves, a request needs an `Idempotency-Key`: sent twice, it is done once.",
    (
        Step(
            "interaction.record_transaction",
            "Money needs a key",
            RECEIVABLE,
            headers={"Idempotency-Key": ""},
            status=428,
            code="idempotency_key_required",
        ),
        Step(
            "interaction.record_transaction",
            "They owe 900.00",
            RECEIVABLE,
            shows={"transaction.status": "open"},
            keeps={"transactionId": "transaction.id"},
        ),
        *(
            Step(
                "interaction.settle_transaction",
                name,
                {"amount": 45_000, "method": "pix"},
                headers={"Idempotency-Key": "payment-{{transactionId}}"},
                shows={"transaction.kind": "income"},
                keeps={"paymentId": "transaction.id"},
            )
            for name in ("They pay half of it", "The same payment, sent twice, is one")
        ),
        Step("interaction.show_balance", "What is left", shows={"balances[0].receivable": 45_000}),
        Step("interaction.get_transaction", "The debt", shows={"transaction.outstanding_amount": 45_000}),
        Step(
            "interaction.settle_transaction",
            "More than is owed cannot be paid",
            {"amount": 45_001},
            status=422,
            code="settles_too_much",
        ),
        Step(
            "interaction.reverse_transaction",
            "The payment bounced",
            {"description": "Returned by the bank."},
            at={"transaction_id": "{{paymentId}}"},
            shows={"transaction.amount": 45_000},
        ),
        Step(
            "interaction.reverse_transaction",
            "It cannot bounce twice",
            {},
            at={"transaction_id": "{{paymentId}}"},
            status=409,
            code="already_reversed",
        ),
        Step("interaction.list_transactions_of", "The ledger of this customer", shows={"total": 3}),
        Step("interaction.show_statement", "How the balance came about", shows={"statement.closing_balance": 0}),
        Step("interaction.download_statement", "The same as a file"),
        Step(
            "interaction.list_transactions",
            "All open debts",
            query={"filter[status]": "open", "filter[kind]": "receivable"},
            shows={"total": 1},
        ),
        Step("interaction.summarise_transactions", "The sum of everything", query={"group_by": "kind"}),
        Step("interaction.show_timeline", "The whole story of a customer", shows={"total": 4}),
    ),
)

RIGHTS = Chapter(
    "10. What a person may ask",
    "The law gives people the right to know what is kept about them, and to be forgotten.",
    (
        Step("customer.show_overview", "A customer at a glance", shows={"overview.interaction_count": 1}),
        Step(
            "customer.export_customer",
            "Everything that is kept about Joaquim",
            at={"customer_id": "{{personId}}"},
            shows={"export.customer.email": "joaquim@example.com"},
        ),
        Step(
            "customer.erase_customer",
            "Joaquim is forgotten",
            at={"customer_id": "{{personId}}"},
            shows={"customer.email": None},
        ),
        Step(
            "customer.remove_customer",
            "A customer with a ledger stays",
            query={"hard_delete": "true"},
            status=409,
            code="customer_has_transactions",
        ),
    ),
)

CHAPTERS = (INTERACTIONS, MONEY, RIGHTS)
