"""Seed 004: a user service, and a product service that holds no secret and asks it about each token.

Both are called at their own doors, as the document does; ports and names are ours (auth is its user service).
"""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kit.config import keys_directory
from kit.tokens import ACCESS_COMPONENT
from tests.api import Person
from tests.seeds.conftest import shown
from tests.services.helpers import unreachable

Service = Callable[[str], Any]
PASSWORD = "correct horse battery"


@pytest.fixture
def users(service: Service) -> Any:
    return service("auth").target


@pytest.fixture
def products(service: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PRODUCT_SERVICE_TOKEN_VALIDATION", "remote")
    return service("product").target


@pytest.fixture
def published(owner: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    """The owner of the tenant whose catalogue is public."""
    owner.put("/api/products/catalogue", {"is_public": True}).ok()
    monkeypatch.setenv("PUBLIC_CATALOGUE_TENANT", owner.tenant_id)
    yield owner


class TestUserService:
    def test_register_login_and_validate_token(self, users: Any, slash: str) -> None:
        email = f"user.{secrets.token_hex(4)}@example.com"
        body = {"email": email, "password": PASSWORD}
        registered = shown(users, "POST", f"/register{slash}", {"name": "User", **body})
        assert registered.status in (200, 201)
        token = shown(users, "POST", f"/login{slash}", body).ok()["access_token"]
        verdict = shown(users, "POST", f"/validate-token{slash}", {"token": token}).ok()
        assert verdict["valid"] is True
        assert verdict["user_id"] == registered.json["user"]["id"]
        assert shown(users, "POST", f"/validate-token{slash}", token=token).ok() == verdict
        assert shown(users, "POST", f"/validate-token{slash}", {"token": token[:-2]}).ok()["valid"] is False

    def test_health_returns_status_and_version(self, users: Any, slash: str) -> None:
        health = shown(users, "GET", f"/health{slash}".rstrip("/")).ok()
        assert health["status"] == "healthy"
        assert health["version"]


class TestProductService:
    def test_products_are_public(self, products: Any, published: Person, slash: str) -> None:
        made = published.post("/api/products", {"name": "Bread", "price": "1.50"}).ok(201)["product"]
        listed = shown(products, "GET", f"/products{slash}").ok()
        assert [one["id"] for one in listed["products"]] == [made["id"]]
        detail = shown(products, "GET", f"/products/{made['id']}{slash}").ok()["product"]
        assert (detail["name"], detail["price"]) == ("Bread", "1.50")

    def test_writing_requires_a_token(self, products: Any, published: Person, slash: str) -> None:
        made = published.post("/api/products", {"name": "Bread"}).ok(201)["product"]
        for method, path, body in (
            ("POST", f"/products{slash}", {"name": "Cake"}),
            ("PUT", f"/products/{made['id']}{slash}", {"name": "Cake"}),
            ("DELETE", f"/products/{made['id']}{slash}", None),
        ):
            assert shown(products, method, path, body).status == 401

    def test_a_token_writes(self, products: Any, owner: Person, slash: str) -> None:
        made = shown(products, "POST", f"/products{slash}", {"name": "Bread"}, owner.token).ok(201)["product"]
        path = f"/products/{made['id']}{slash}"
        assert shown(products, "PUT", path, {"name": "Rye bread"}, owner.token).ok()["product"]["name"] == "Rye bread"
        assert shown(products, "DELETE", path, token=owner.token).ok()["message"]

    def test_tokens_are_checked_by_the_user_service(self, products: Any, owner: Person) -> None:
        owner.post("/auth/logout", {}).ok()
        shown(products, "POST", "/products", {"name": "Bread"}, owner.token).problem(401, "invalid_token")
        with unreachable("auth"):
            shown(products, "POST", "/products", {"name": "Bread"}, owner.token).problem(503, "unavailable")

    def test_no_secret_of_tokens_is_needed(self, products: Any, owner: Person) -> None:
        """The key that signs access tokens is one file, which belongs to auth; without it the check goes on."""
        key = keys_directory() / "private" / f"{ACCESS_COMPONENT}.pem"
        aside = key.rename(key.with_suffix(".aside"))
        try:
            shown(products, "POST", "/products", {"name": "Bread"}, owner.token).ok(201)
        finally:
            aside.rename(key)

    def test_health_includes_the_user_service(self, products: Any) -> None:
        health = shown(products, "GET", "/health").ok()
        assert (health["status"], health["auth"]) == ("healthy", "healthy")
        assert health["auth_url"]
        with unreachable("auth"):
            assert shown(products, "GET", "/health").ok()["auth"] == "unreachable"


def test_without_a_public_catalogue_reading_needs_a_token_too(products: Any, owner: Person) -> None:
    """Seed 001 says that every route but auth's needs a token; a tenant publishes its catalogue by choice."""
    shown(products, "GET", "/products").problem(401, "unauthenticated")
    assert shown(products, "GET", "/products", token=owner.token).ok()["products"] == []
