"""Customers: one by one, twice by mistake, and many at once."""

from scripts.collection_files.step import FRESH, Chapter, Step
from scripts.collection_files.story.people import COLLEAGUE, UNKNOWN

MARKET = {
    "name": "Mercado São João",
    "type": "company",
    "email": "compras@saojoao.example",
    "document_type": "cnpj",
    "document": "12.ABC.345/01DE-35",
    "phone": "+55 11 3456-7890",
    "lifecycle_stage": "customer",
    "tags": ["atacado", "vip"],
    "addresses": [{"street": "Av. Paulista", "number": "1000", "city": "São Paulo", "postal_code": "01310-100"}],
}
JOAQUIM = {
    "name": "Joaquim da Conceição",
    "email": "joaquim@example.com",
    "document_type": "cpf",
    "document": "529.982.247-25",
    "phone": "(21) 98765-4321",
    "consents": {"email": {"granted": True}},
}
FILE = """name;email;external_id;tags
Hotel Beira-Mar;reservas@beiramar.example;ERP-1;hotel
Café Aurora;;ERP-2;varejo|vip
"""

CUSTOMERS = Chapter(
    "3. Customers",
    "Whom the bakery sells to. Documents and telephone numbers are checked and written in one form; searches find the "
    "beginnings of words, with accents or without; nothing is lost by mistake.",
    (
        Step(
            "customer.create_customer",
            "A first customer",
            MARKET,
            "A CNPJ may hold letters since July 2026. A random `Idempotency-Key` makes a repetition harmless.",
            headers={"Idempotency-Key": FRESH},
            shows={"customer.document": "12ABC34501DE35", "customer.version": 1},
            keeps={"customerId": "customer.id"},
        ),
        Step(
            "customer.create_customer",
            "The same document cannot be kept twice",
            {"name": "Mercado", "document_type": "cnpj", "document": "12ABC34501DE35"},
            status=409,
            code="already_exists",
        ),
        Step(
            "customer.create_customer",
            "A document with wrong check digits is refused",
            {"name": "Mercado", "document_type": "cnpj", "document": "12.ABC.345/01DE-36"},
            status=422,
            code="validation_error",
        ),
        Step(
            "customer.create_customer",
            "Bruno keeps a second customer",
            JOAQUIM,
            token=COLLEAGUE,
            shows={"customer.document_formatted": "529.982.247-25"},
            keeps={"personId": "customer.id"},
        ),
        Step("customer.get_customer", "The first customer", shows={"customer.phone": "+551134567890"}),
        Step(
            "customer.get_customer",
            "A customer that there is not",
            at={"customer_id": UNKNOWN},
            status=404,
            code="no_such_customer",
        ),
        Step(
            "customer.update_customer",
            "A change, if nobody was faster",
            {"notes": "Delivery before six."},
            "`If-Match` names the version that was seen.",
            headers={"If-Match": '"1"'},
            shows={"customer.version": 2},
        ),
        Step(
            "customer.update_customer",
            "Somebody was faster",
            {"notes": "Delivery before seven."},
            headers={"If-Match": '"1"'},
            status=412,
            code="precondition_failed",
        ),
        Step(
            "customer.list_customers",
            "Found by the beginnings of words",
            query={"search": "sao merc", "page": "1", "per_page": "20"},
            shows={"total": 1},
        ),
        Step("customer.remove_customer", "Out of use", about="Nothing is lost; `hard_delete=true` would remove it."),
        Step("customer.list_customers", "It is not listed any more", shows={"total": 1}),
        Step("customer.activate_customer", "Back in use", shows={"customer.is_active": True}),
        Step("customer.list_changes", "What was done to it, and by whom"),
        Step("customer.count_tags", "The tags in use", shows={"tags[0].count": 1}),
    ),
)

DUPLICATES = Chapter(
    "4. The same customer twice",
    "Somebody wrote Joaquim down a second time. Duplicates share an e-mail address, a document, or name and phone; a "
    "merge takes one into the other, with all that happened.",
    (
        Step(
            "customer.create_customer",
            "Joaquim once more",
            {"name": "Joaquim da Conceição", "phone": "+55 21 98765-4321", "source": "feira"},
            keeps={"duplicateId": "customer.id"},
        ),
        Step("customer.list_duplicates", "Who is here twice", shows={"duplicates[0].by": "name+phone"}),
        Step(
            "customer.list_duplicates_of",
            "Is this one here twice?",
            at={"customer_id": "{{personId}}"},
            query={"by": "name+phone,document"},
            shows={"total": 1},
        ),
        Step(
            "customer.merge_customers",
            "What a merge would make of them",
            {"source_ids": ["{{duplicateId}}"], "dry_run": True},
            at={"customer_id": "{{personId}}"},
            shows={"customer.source": "feira"},
        ),
        Step(
            "customer.merge_customers",
            "The merge",
            {"source_ids": ["{{duplicateId}}"], "field_rules": {"name": "{{personId}}"}},
            at={"customer_id": "{{personId}}"},
            shows={"customer.name": "Joaquim da Conceição"},
        ),
        Step(
            "customer.update_customer",
            "The merged one leads to the other",
            {"name": "Joaquim"},
            at={"customer_id": "{{duplicateId}}"},
            status=409,
            code="customer_merged",
        ),
    ),
)

FILES = Chapter(
    "11. Many at once",
    "Customers come from elsewhere: as a batch of JSON, or as a CSV file, which is worked off in the background.",
    (
        Step(
            "customer.upsert_batch",
            "A batch of customers",
            {
                "id_property": "external_id",
                "inputs": [
                    {"external_id": "ERP-1", "name": "Hotel Beira-Mar", "type": "company"},
                    {"external_id": "ERP-9", "name": "Márcia Antunes", "phone": "(31) 99876-5432"},
                    {"external_id": "ERP-10", "name": ""},
                ],
            },
            "Each input has its own result: two are created, one is faulty.",
            shows={"created": 2, "faulty": 1},
        ),
        Step(
            "customer.start_import",
            "A file comes in",
            FILE,
            "Comma or semicolon; `|` between several tags. With `dry_run=true` the file is only checked.",
            query={"id_property": "external_id"},
            headers={"Content-Type": "text/csv"},
            keeps={"importId": "import.id"},
        ),
        Step("customer.get_import", "How far it is", about="`status` is `done` when it is through."),
        Step("customer.list_imports", "The imports of the last month", shows={"total": 1}),
        Step("customer.list_import_rows", "What came of each row"),
        Step("customer.export_customers", "All customers as a file", query={"filter[tags][in]": "vip"}),
    ),
)

CHAPTERS = (CUSTOMERS, DUPLICATES)
