"""Seed 001, “CRM Finance”: each row of its tables, with its own paths, fields and keys.

Table rows are quoted in the order of the document. A key may be added to an answer, none may be missing.
"""

import os
import secrets
from typing import Any

import psycopg2
import pytest

from tests.api import Person
from tests.seeds.conftest import as_shown, shown

DATABASES = (
    ("auth", "user"),
    ("customer", "customer"),
    ("product", "product"),
    ("interaction", "interaction"),
    ("interaction", "transaction"),
)


@pytest.fixture
def ask(owner: Person) -> Any:
    return as_shown(owner)


@pytest.fixture
def customer_id(ask: Any) -> str:
    return str(ask("POST", "/api/customers/", {"name": "Padaria"}).ok(201)["customer"]["id"])


@pytest.fixture
def product_id(ask: Any) -> str:
    return str(ask("POST", "/api/products/", {"name": "Pão"}).ok(201)["product"]["id"])


class TestAuthentication:
    def test_register_and_login(self, platform: Any, slash: str) -> None:
        email = f"nome.{secrets.token_hex(4)}@example.com"
        body = {"ds_user": f"Nome {secrets.token_hex(4)}", "ds_user_email": email, "password": "correct horse battery"}
        registered = shown(platform, "POST", f"/auth/register{slash}", body)
        assert registered.status in (200, 201)
        assert {"message", "user"} <= set(registered.json)
        assert registered.json["user"]["ds_user_email"] == email
        assert registered.json["user"]["ds_user"] == body["ds_user"]
        del body["ds_user"]
        logged_in = shown(platform, "POST", f"/auth/login{slash}", body).ok()
        assert {"message", "access_token", "user"} <= set(logged_in)
        assert logged_in["user"]["ds_user_email"] == email
        token = logged_in["access_token"]
        assert shown(platform, "GET", f"/api/customers{slash}", token=token).ok()["customers"] == []

    @pytest.mark.parametrize("path", ["/api/customers", "/api/products", f"/api/customers/{'0' * 8}/interactions"])
    def test_routes_that_are_not_of_auth_need_a_token(self, platform: Any, path: str, slash: str) -> None:
        shown(platform, "GET", path + slash).problem(401, "unauthenticated")
        shown(platform, "POST", path + slash, {}).problem(401, "unauthenticated")


class TestCustomers:
    def test_post_creates_a_customer(self, ask: Any, slash: str) -> None:
        answer = ask("POST", f"/api/customers{slash}", {"name": "Ana"}).ok(201)
        assert {"message", "customer"} <= set(answer)
        assert answer["customer"]["name"] == "Ana"

    def test_get_lists_customers_with_pages_and_search(self, ask: Any, slash: str) -> None:
        for name in ("Ana Lima", "Bruno Dias", "Carla Dias"):
            ask("POST", f"/api/customers{slash}", {"name": name}).ok(201)
        gone = ask("POST", f"/api/customers{slash}", {"name": "Davi Dias"}).ok(201)["customer"]["id"]
        ask("DELETE", f"/api/customers/{gone}").ok()
        page = ask("GET", f"/api/customers{slash}?page=1&per_page=2").ok()
        assert {"customers", "total", "pages"} <= set(page)
        assert (len(page["customers"]), page["total"], page["pages"]) == (2, 3, 2)
        assert ask("GET", f"/api/customers{slash}?search=dias&active_only=true").ok()["total"] == 2
        assert ask("GET", f"/api/customers{slash}?search=dias&active_only=false").ok()["total"] == 3

    def test_get_shows_a_customer(self, ask: Any, customer_id: str, slash: str) -> None:
        assert ask("GET", f"/api/customers/{customer_id}{slash}").ok()["customer"]["id"] == customer_id

    def test_put_updates_in_part_or_whole(self, ask: Any, customer_id: str, slash: str) -> None:
        path = f"/api/customers/{customer_id}{slash}"
        answer = ask("PUT", path, {"name": "Padaria Nova"}).ok()
        assert {"message", "customer"} <= set(answer)
        whole = ask("GET", path).ok()["customer"] | {"notes": "Nova"}
        assert ask("PUT", path, whole).ok()["customer"]["notes"] == "Nova"

    def test_delete_deactivates_or_removes_and_patch_reactivates(self, ask: Any, customer_id: str, slash: str) -> None:
        path = f"/api/customers/{customer_id}"
        assert ask("DELETE", path + slash).ok()["message"]
        assert ask("GET", path).ok()["customer"]["is_active"] is False
        back = ask("PATCH", f"{path}/activate{slash}").ok()
        assert {"message", "customer"} <= set(back)
        assert back["customer"]["is_active"] is True
        assert ask("DELETE", f"{path}{slash}?hard_delete=true").ok()["message"]
        ask("GET", path).problem(404, "no_such_customer")


class TestProducts:
    def test_post_creates_a_product(self, ask: Any, slash: str) -> None:
        answer = ask("POST", f"/api/products{slash}", {"name": "Pão", "price": 1.5}).ok(201)
        assert {"message", "product"} <= set(answer)
        assert answer["product"]["name"] == "Pão"

    def test_get_lists_products_with_pages(self, ask: Any, slash: str) -> None:
        for name in ("Pão", "Bolo", "Café"):
            ask("POST", f"/api/products{slash}", {"name": name}).ok(201)
        page = ask("GET", f"/api/products{slash}?page=2&per_page=2").ok()
        assert {"products", "total", "pages"} <= set(page)
        assert (len(page["products"]), page["total"], page["pages"]) == (1, 3, 2)

    def test_get_shows_a_product(self, ask: Any, product_id: str, slash: str) -> None:
        assert ask("GET", f"/api/products/{product_id}{slash}").ok()["product"]["id"] == product_id

    def test_put_updates_in_part_or_whole(self, ask: Any, product_id: str, slash: str) -> None:
        path = f"/api/products/{product_id}{slash}"
        answer = ask("PUT", path, {"name": "Pão francês"}).ok()
        assert {"message", "product"} <= set(answer)
        whole = ask("GET", path).ok()["product"] | {"description": "Do dia"}
        assert ask("PUT", path, whole).ok()["product"]["description"] == "Do dia"

    def test_delete_deactivates_or_removes(self, ask: Any, product_id: str, slash: str) -> None:
        path = f"/api/products/{product_id}"
        assert ask("DELETE", path + slash).ok()["message"]
        assert ask("GET", path).ok()["product"]["is_active"] is False
        assert ask("PATCH", f"{path}/activate{slash}").ok()["product"]["is_active"] is True
        assert ask("DELETE", f"{path}{slash}?hard_delete=true").ok()["message"]
        ask("GET", path).problem(404, "no_such_product")


class TestInteractions:
    def test_post_records_an_interaction(self, ask: Any, customer_id: str, slash: str) -> None:
        body = {"ds_notes": "Ligou para saber do pedido", "id_interaction_type": "call"}
        answer = ask("POST", f"/api/customers/{customer_id}/interactions{slash}", body).ok(201)
        assert {"message", "interaction"} <= set(answer)
        assert answer["interaction"]["ds_notes"] == body["ds_notes"]
        again = body | {"id_interaction_type": answer["interaction"]["id_interaction_type"]}
        second = ask("POST", f"/api/customers/{customer_id}/interactions{slash}", again).ok(201)
        assert second["interaction"]["id_interaction_type"] == again["id_interaction_type"]

    def test_get_lists_the_interactions_of_a_customer(self, ask: Any, customer_id: str, slash: str) -> None:
        path = f"/api/customers/{customer_id}/interactions{slash}"
        for number in range(3):
            ask("POST", path, {"ds_notes": f"Nota {number}", "id_interaction_type": "note"}).ok(201)
        page = ask("GET", f"{path}?page=1&per_page=2").ok()
        assert {"interactions", "total", "pages"} <= set(page)
        assert (len(page["interactions"]), page["total"], page["pages"]) == (2, 3, 2)

    def test_the_customer_is_checked_by_a_call_to_its_service(self, ask: Any, customer_id: str) -> None:
        body = {"ds_notes": "x", "id_interaction_type": "note"}
        unknown = "0197a3c0-0000-7000-8000-000000000001"
        ask("POST", f"/api/customers/{unknown}/interactions/", body).problem(404, "no_such_customer")
        ask("DELETE", f"/api/customers/{customer_id}").ok()
        ask("POST", f"/api/customers/{customer_id}/interactions/", body).problem(409, "customer_inactive")


class TestArchitecture:
    @pytest.mark.parametrize(("service", "table"), DATABASES)
    def test_each_service_has_its_own_database_with_its_table(self, platform: Any, service: str, table: str) -> None:
        with psycopg2.connect(os.environ[f"{service.upper()}_SERVICE_DATABASE_OWNER_URL"]) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT current_database(), to_regclass(%s)::text", (f'"{table}"',))
            database, found = cursor.fetchone()
        connection.close()
        assert (database, found.strip('"')) == (f"{service}_db", table)

    def test_the_gateway_says_who_is_asking(self, owner: Person, customer_id: str) -> None:
        """`X-User-Id` reaches the service: what it records names the person."""
        path = f"/api/customers/{customer_id}/interactions"
        made = owner.post(path, {"ds_notes": "x", "id_interaction_type": "note"}).ok(201)["interaction"]
        assert made["user_id"] == owner.user_id

    def test_transactions_have_their_endpoints_now(self, owner: Person, customer_id: str, slash: str) -> None:
        path = f"/api/customers/{customer_id}/transactions{slash}"
        body = {"kind": "income", "amount": 1500}
        made = owner.post(path, body, headers={"Idempotency-Key": secrets.token_hex(8)}).ok(201)
        assert {"message", "transaction"} <= set(made)
        page = owner.get(path).ok()
        assert {"transactions", "total", "pages"} <= set(page)
        shown_one = owner.get(f"/api/customers/{customer_id}/transactions/{made['transaction']['id']}{slash}").ok()
        assert shown_one["transaction"]["amount"] == 1500
