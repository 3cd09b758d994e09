"""A small company to look at: `make seed` fills a running platform through its public address.

Running it again changes nothing: people log in, customers that exist are left alone.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.demo_company import (
    CATEGORIES,
    COMPANIES,
    INTERACTIONS,
    PEOPLE,
    PERSONS,
    PRODUCTS,
    TRANSACTIONS,
)

ADDRESS = os.environ.get("API", f"http://localhost:{os.environ.get('GATEWAY_PORT', '8080')}")
PASSWORD = "correct horse battery"
TIMEOUT_S = 15


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
    """Keep the customers, found again by their documents; their ids by name."""
    kinds = ((COMPANIES, "company", "cnpj"), (PERSONS, "person", "cpf"))
    inputs = [_customer(row, kind, paper) for rows, kind, paper in kinds for row in rows]
    body = {"id_property": "document", "inputs": inputs}
    result = call("POST", "/api/customers/batch/upsert", token, body)
    if result["faulty"]:
        sys.exit(f"Some customers were refused: {result['results']}")
    return {one["name"]: one["id"] for one in call("GET", "/api/customers/?per_page=100", token)["customers"]}


def _customer(row: tuple[str, ...], kind: str, paper: str) -> dict[str, Any]:
    name, document, email, phone, stage, tags, city, state = row
    return {
        "name": name,
        "type": kind,
        "document_type": paper,
        "document": document,
        "email": email,
        "phone": phone,
        "lifecycle_stage": stage,
        "tags": tags.split(),
        "addresses": [{"city": city, "state": state, "country": "BR"}],
    }


def seed_member(token: str, tenant_id: str, email: str, role: str) -> None:
    """Offer a membership and accept it; who is a member already answers 409."""
    body = {"email": email, "role": role}
    offered = call("POST", f"/api/tenants/{tenant_id}/members", token, body, accept=(409,))
    if "offer" in offered:
        path = f"/api/tenants/offers/{offered['offer']['id']}/accept"
        call("POST", path, login(email)["access_token"])


def seed_products(token: str) -> None:
    """Keep the categories and products; those that exist answer 409."""
    for name in CATEGORIES:
        call("POST", "/api/products/categories", token, {"name": name}, accept=(409,))
    found = call("GET", "/api/products/categories?per_page=100", token)["categories"]
    ids = {one["name"]: one["id"] for one in found}
    for name, sku, price, category, ncm, more in PRODUCTS:
        body = {"name": name, "sku": sku, "price": price, "category_id": ids[category], "ncm": ncm} | more
        call("POST", "/api/products/", token, body, accept=(409,))


def seed_history(token: str, customers: dict[str, str]) -> None:
    """Record what happened with the customers, and the money, in a tenant where nothing has happened yet."""
    now = datetime.now(UTC)
    if not call("GET", "/api/interactions?per_page=1", token)["total"]:
        for days, name, kind, notes in INTERACTIONS:
            happened = (now - timedelta(days=days)).isoformat()
            body = {"id_interaction_type": kind, "ds_notes": notes, "happened_at": happened}
            call("POST", f"/api/customers/{customers[name]}/interactions", token, body)
    if call("GET", "/api/transactions?per_page=1", token)["total"]:
        return
    for number, (days, name, kind, amount, paid) in enumerate(TRANSACTIONS):
        path = f"/api/customers/{customers[name]}/transactions"
        due = {"due_date": str(now.date() + timedelta(days=days))} if kind.endswith("able") else {}
        body = {"kind": kind, "amount": amount, "currency": "BRL", **due}
        made = call("POST", path, token, body, key=f"seed-{number}")
        if paid:
            settle = f"{path}/{made['transaction']['id']}/settle"
            call("POST", settle, token, {"amount": paid, "method": "pix"}, key=f"seed-{number}-paid")


def main() -> None:
    """Register the people, let them into Ana's tenant, and keep customers, products and their history."""
    for email, name, _ in PEOPLE:
        body = {"email": email, "name": name, "password": PASSWORD, "organization_name": "Padaria Alicerce"}
        call("POST", "/auth/register", body=body, accept=(409,))
    grant = login(PEOPLE[0][0])
    token, tenant_id = grant["access_token"], grant["tenant_id"]
    for email, _, role in PEOPLE[1:]:
        seed_member(token, tenant_id, email, role)
    seed_products(token)
    customers = seed_customers(token)
    seed_history(token, customers)
    print(f"Log in at {ADDRESS}/auth/login as {PEOPLE[0][0]} with the password {PASSWORD!r}.")
    print(
        f"{len(PEOPLE)} people work in the tenant {tenant_id}, which has {len(customers)} customers, "
        f"{len(PRODUCTS)} products, and two months of calls and money."
    )


if __name__ == "__main__":
    main()
