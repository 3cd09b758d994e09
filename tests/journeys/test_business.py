"""What a small company does with its customers, products and money, in one process and in several."""

import secrets
from collections.abc import Callable
from typing import Any

from tests.api import Api, Person
from tests.services.helpers import drain
from tests.topologies import eventually

CUSTOMERS, PRODUCTS = "/api/customers", "/api/products"


def key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(8)}


def test_a_first_product_call_and_payment(register: Callable[..., Person]) -> None:
    owner = register()
    product = owner.post(PRODUCTS, {"name": "Pão de queijo", "sku": "PQ-1", "price": "4.50"}).ok(201)["product"]
    assert product["price_amount"] == 450
    owner.post(PRODUCTS, {"name": "Other", "sku": "PQ-1"}).problem(409, "already_exists")
    customer = f"{CUSTOMERS}/{owner.post(CUSTOMERS, {'name': 'Mercado'}).ok(201)['customer']['id']}"

    call = {"ds_notes": "Wants 200 a day", "id_interaction_type": "call"}
    owner.post(f"{customer}/interactions", call).ok(201)
    owed = {"kind": "receivable", "amount": 90_000, "due_date": "2026-12-01"}
    owner.post(f"{customer}/transactions", owed).problem(428, "idempotency_key_required")
    promise = owner.post(f"{customer}/transactions", owed, headers=key()).ok(201)["transaction"]
    paid = key()
    for _ in range(2):
        owner.post(f"{customer}/transactions/{promise['id']}/settle", {"amount": 45_000}, headers=paid).ok(201)
    (balance,) = owner.get(f"{customer}/balance").ok()["balances"]
    assert (balance["currency"], balance["balance"], balance["receivable"]) == ("BRL", 45_000, 45_000)

    overview = owner.get(f"{customer}/overview").ok()["overview"]
    assert (overview["interaction_count"], overview["transaction_count"]) == (1, 2)
    kinds = [event["kind"] for event in owner.get(f"{customer}/timeline").ok()["timeline"]]
    assert sorted(kinds) == ["interaction", "transaction", "transaction"]


def test_a_merge_takes_history_along(register: Callable[..., Person]) -> None:
    owner = register()
    first, second = (owner.post(CUSTOMERS, {"name": name}).ok(201)["customer"]["id"] for name in ("Ana", "Anna"))
    owner.post(f"{CUSTOMERS}/{second}/interactions", {"ds_notes": "Hi", "id_interaction_type": "note"}).ok(201)
    body = {"kind": "income", "amount": 100}
    owner.post(f"{CUSTOMERS}/{second}/transactions", body, headers=key()).ok(201)
    owner.post(f"{CUSTOMERS}/{first}/merge", {"source_ids": [second]}).ok()
    assert owner.get(f"{CUSTOMERS}/{first}/interactions").ok()["total"] == 1
    assert owner.get(f"{CUSTOMERS}/{first}/balance").ok()["balances"][0]["balance"] == 100
    note = {"ds_notes": "Hi again", "id_interaction_type": "note"}
    late = owner.post(f"{CUSTOMERS}/{second}/interactions", note).problem(409, "customer_merged")
    assert late["merged_into_id"] == first


def test_a_file_comes_in_by_itself(target: Any, register: Callable[..., Person]) -> None:
    owner = register()
    data = b"name;email\nAna;ana@example.com\nBia;bia@example.com\n"
    answer = owner.request("POST", f"{CUSTOMERS}/import", data=data, headers={"Content-Type": "text/csv"})
    path = f"{CUSTOMERS}/imports/{answer.ok(202)['import']['id']}"
    if not isinstance(target, str):
        drain("customer")  # only real processes have a thread for it
    done = eventually(lambda: (file := owner.get(path).ok()["import"])["finished_at"] and file, "the import is done")
    assert (done["status"], done["rows"]) == ("done", {"created": 2})
    assert len(owner.get(f"{CUSTOMERS}/export.csv").json.splitlines()) == 3


def test_a_catalogue_is_public_by_choice(target: Any, register: Callable[..., Person]) -> None:
    owner, visitor = register(), Api(target)
    product = owner.post(PRODUCTS, {"name": "Pão", "price": "1.00", "external_id": "ERP-1"}).ok(201)["product"]
    visitor.get(PRODUCTS).problem(401, "unauthenticated")
    catalogue = owner.put(f"{PRODUCTS}/catalogue", {"is_public": True}).ok()["catalogue"]
    shown = {"X-Publishable-Key": catalogue["publishable_key"]}
    assert [one["id"] for one in visitor.get(PRODUCTS, headers=shown).ok()["products"]] == [product["id"]]
    assert "external_id" not in visitor.get(f"{PRODUCTS}/{product['id']}", headers=shown).ok()["product"]
    visitor.post(PRODUCTS, {"name": "Mine"}, headers=shown).problem(401, "unauthenticated")
    owner.put(f"{PRODUCTS}/catalogue", {"is_public": False}).ok()
    visitor.get(PRODUCTS, headers=shown).problem(401, "unauthenticated")
