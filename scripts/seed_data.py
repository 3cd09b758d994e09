"""A small company to look at: `make seed` fills a running platform through its public address.

Running it again changes nothing: people log in, customers that exist are left alone.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

ADDRESS = os.environ.get("API", f"http://localhost:{os.environ.get('GATEWAY_PORT', '8080')}")
PASSWORD = "correct horse battery"
TIMEOUT_S = 15

PEOPLE = (
    ("ana@padaria.example", "Ana Souza", None),
    ("bruno@padaria.example", "Bruno Lima", "admin"),
    ("carla@padaria.example", "Carla Nunes", "member"),
    ("davi@padaria.example", "Davi Rocha", "viewer"),
)

CUSTOMERS: tuple[dict[str, Any], ...] = (
    {
        "name": "Mercado São João",
        "type": "company",
        "email": "compras@saojoao.example",
        "document_type": "cnpj",
        "document": "11.222.333/0001-81",
        "phone": "+55 11 3456-7890",
        "lifecycle_stage": "customer",
        "tags": ["atacado", "vip"],
        "addresses": [
            {
                "street": "Av. Paulista",
                "number": "1000",
                "city": "São Paulo",
                "state": "SP",
                "postal_code": "01310-100",
            }
        ],
    },
    {
        "name": "Café Aurora",
        "type": "company",
        "email": "ola@cafeaurora.example",
        "document_type": "cnpj",
        "document": "12.ABC.345/01DE-35",
        "lifecycle_stage": "prospect",
        "tags": ["varejo"],
    },
    {
        "name": "Joaquim da Conceição",
        "email": "joaquim@example.com",
        "document_type": "cpf",
        "document": "529.982.247-25",
        "phone": "(21) 98765-4321",
        "lifecycle_stage": "customer",
        "birth_date": "1984-05-17",
    },
    {"name": "Márcia Antunes", "phone": "(31) 99876-5432", "lifecycle_stage": "lead", "source": "feira"},
    {"name": "Hotel Beira-Mar", "type": "company", "lifecycle_stage": "former", "tags": ["hotel"]},
)

CATEGORIES = ("Pães", "Bebidas")

PRODUCTS: tuple[dict[str, Any], ...] = (
    {
        "name": "Pão de queijo",
        "sku": "PQ-1",
        "price": "4.50",
        "ncm": "19059090",
        "category": "Pães",
        "tags": ["quente"],
    },
    {"name": "Pão francês", "sku": "PF-1", "price": "0.95", "unit": "un", "ncm": "19059090", "category": "Pães"},
    {"name": "Café coado", "sku": "CF-1", "price": "6.00", "gtin": "7891000315507", "category": "Bebidas"},
    {"name": "Entrega", "sku": "EN-1", "kind": "service", "price": "12.00", "unit": "h"},
    {"name": "Clube do pão", "sku": "CL-1", "kind": "subscription", "price": "59.90", "billing_period": "month"},
)

# Who (by name), what was done, what was said.
INTERACTIONS = (
    ("Mercado São João", "call", "Pediu 200 pães de queijo por dia, a partir de segunda."),
    ("Mercado São João", "visit", "Provaram o café; querem uma máquina na loja."),
    ("Joaquim da Conceição", "whatsapp", "Perguntou pelo horário de domingo."),
)

# Whom, what kind, how much in minor units, how much of it is paid.
TRANSACTIONS = (
    ("Mercado São João", "receivable", 90_000, 45_000),
    ("Mercado São João", "receivable", 38_500, 0),
    ("Joaquim da Conceição", "income", 1_840, 0),
    ("Hotel Beira-Mar", "payable", 12_000, 12_000),
)


def call(method: str, path: str, token: str = "", body: Any = None, accept: tuple[int, ...] = (), key: str = "") -> Any:
    """One request; the JSON of its answer. Statuses of `accept` are no errors; a `key` makes a repetition harmless."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"Idempotency-Key": key} if key else {}
    try:
        answer = requests.request(method, ADDRESS + path, json=body, headers=headers, timeout=TIMEOUT_S)
    except requests.ConnectionError:
        sys.exit(f"Nothing answers at {ADDRESS}. Start the platform with `make run`, then seed it.")
    if answer.status_code >= 400 and answer.status_code not in accept:
        sys.exit(f"{method} {path}: {answer.status_code} {answer.json().get('message')}")
    return answer.json()


def login(email: str) -> Any:
    """Log somebody in; the whole answer."""
    return call("POST", "/auth/login", body={"email": email, "password": PASSWORD})


def seed_customers(token: str) -> dict[str, str]:
    """Keep the customers; their ids by name."""
    for customer in CUSTOMERS:
        known = call("GET", f"/api/customers/?search={requests.utils.quote(customer['name'])}", token)
        if not known["total"]:
            call("POST", "/api/customers/", token, customer)
    return {one["name"]: one["id"] for one in call("GET", "/api/customers/?per_page=100", token)["customers"]}


def seed_products(token: str) -> None:
    """Keep the categories and products."""
    for name in CATEGORIES:
        call("POST", "/api/products/categories", token, {"name": name}, accept=(409,))
    found = call("GET", "/api/products/categories?per_page=100", token)["categories"]
    ids = {one["name"]: one["id"] for one in found}
    for product in PRODUCTS:
        category = {"category_id": ids[product["category"]]} if "category" in product else {}
        fields = {name: value for name, value in product.items() if name != "category"}
        call("POST", "/api/products/", token, fields | category, accept=(409,))


def seed_history(token: str, customers: dict[str, str]) -> None:
    """Record what happened with the customers, and the money."""
    for name, kind, notes in INTERACTIONS:
        path = f"/api/customers/{customers[name]}/interactions"
        if not call("GET", path, token)["total"]:
            call("POST", path, token, {"id_interaction_type": kind, "ds_notes": notes})
    today = datetime.now(UTC).date()
    for number, (name, kind, amount, paid) in enumerate(TRANSACTIONS):
        path = f"/api/customers/{customers[name]}/transactions"
        due = {"due_date": str(today + timedelta(days=10 * number - 5))} if kind.endswith("able") else {}
        body = {"kind": kind, "amount": amount, "currency": "BRL", **due}
        made = call("POST", path, token, body, key=f"seed-{number}", accept=(409, 422))
        if paid and "transaction" in made:
            settle = f"{path}/{made['transaction']['id']}/settle"
            call("POST", settle, token, {"amount": paid, "method": "pix"}, key=f"seed-{number}-paid", accept=(409, 422))


def main() -> None:
    """Register the people, let them into Ana's tenant, and keep customers, products and their history."""
    for email, name, _ in PEOPLE:
        body = {"email": email, "name": name, "password": PASSWORD, "organization_name": "Padaria Alicerce"}
        call("POST", "/auth/register", body=body, accept=(409,))
    grant = login(PEOPLE[0][0])
    token, tenant_id = grant["access_token"], grant["tenant_id"]
    for email, _, role in PEOPLE[1:]:
        call("POST", f"/api/tenants/{tenant_id}/members", token, {"email": email, "role": role}, accept=(409,))
    seed_products(token)
    seed_history(token, seed_customers(token))
    print(f"Log in at {ADDRESS}/auth/login as {PEOPLE[0][0]} with the password {PASSWORD!r}.")
    print(
        f"{len(PEOPLE)} people work in the tenant {tenant_id}, which has {len(CUSTOMERS)} customers "
        f"and {len(PRODUCTS)} products."
    )


if __name__ == "__main__":
    main()
