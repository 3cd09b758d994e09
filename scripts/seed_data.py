"""A small company to look at: `make seed` fills a running platform through its public address.

Running it again changes nothing: people log in, customers that exist are left alone.
"""

import os
import sys
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


def call(method: str, path: str, token: str = "", body: Any = None, accept: tuple[int, ...] = ()) -> Any:
    """One request; the JSON of its answer. Statuses of `accept` are no errors."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
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


def main() -> None:
    """Register the people, let them into Ana's tenant, and keep the customers."""
    for email, name, _ in PEOPLE:
        body = {"email": email, "name": name, "password": PASSWORD, "organization_name": "Padaria Alicerce"}
        call("POST", "/auth/register", body=body, accept=(409,))
    grant = login(PEOPLE[0][0])
    token, tenant_id = grant["access_token"], grant["tenant_id"]
    for email, _, role in PEOPLE[1:]:
        call("POST", f"/api/tenants/{tenant_id}/members", token, {"email": email, "role": role}, accept=(409,))
    for customer in CUSTOMERS:
        known = call("GET", f"/api/customers/?search={requests.utils.quote(customer['name'])}", token)
        if not known["total"]:
            call("POST", "/api/customers/", token, customer)
    print(f"Log in at {ADDRESS}/auth/login as {PEOPLE[0][0]} with the password {PASSWORD!r}.")
    print(f"{len(PEOPLE)} people work in the tenant {tenant_id}, which has {len(CUSTOMERS)} customers.")


if __name__ == "__main__":
    main()
