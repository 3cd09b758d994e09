"""Seed 000: the lines about the gateway, authentication and tenants, which exist by now, and products through it."""

import secrets
from typing import Any

import pytest

from tests.api import Person
from tests.seeds.conftest import as_shown, shown

PASSWORD = "correct horse battery"


def test_the_authentication_flow(platform: Any, slash: str) -> None:
    email = f"user.{secrets.token_hex(4)}@example.com"
    shown(platform, "POST", f"/auth/register{slash}", {"email": email, "password": PASSWORD}).ok(201)
    granted = shown(platform, "POST", f"/auth/login{slash}", {"username": email, "password": PASSWORD}).ok()
    assert granted["token_type"] == "bearer"
    assert shown(platform, "GET", f"/auth/me{slash}", token=granted["access_token"]).ok()["user"]["email"] == email


def test_health_shows_every_service(platform: Any) -> None:
    health = shown(platform, "GET", "/health").ok()
    assert {"auth", "tenant", "customer", "product", "interaction"} <= set(health["services"])


def test_tenants(owner: Person, slash: str) -> None:
    ask = as_shown(owner)
    made = ask("POST", f"/tenant/tenants{slash}", {"name": "Second"}).ok(201)["tenant"]
    assert {owner.tenant_id, made["id"]} <= {one["id"] for one in ask("GET", f"/tenant/tenants{slash}").ok()["tenants"]}
    path = f"/tenant/tenants/{owner.tenant_id}"
    assert ask("GET", path + slash).ok()["tenant"]["id"] == owner.tenant_id
    assert ask("PUT", path + slash, {"name": "First"}).ok()["tenant"]["name"] == "First"
    assert ask("GET", f"{path}/settings{slash}").ok()["settings"]


def test_products_through_the_gateway(owner: Person, stranger: Person, slash: str) -> None:
    ask = as_shown(owner)
    made = ask("POST", f"/product/products{slash}", {"name": "Bread", "ncm": "1905.90.90"}).ok(201)["product"]
    path = f"/product/products/{made['id']}{slash}"
    assert ask("GET", path).ok()["product"]["ncm"] == "19059090"
    assert ask("PUT", path, {"name": "Cake"}).ok()["product"]["name"] == "Cake"
    as_shown(stranger)("GET", path).problem(404, "no_such_product")
    assert ask("DELETE", path).ok()["message"]


@pytest.mark.parametrize("path", ["/tenant/tenants", "/product/products"])
def test_protected_routes_require_a_token(platform: Any, path: str, slash: str) -> None:
    shown(platform, "POST", path + slash, {}).problem(401, "unauthenticated")
