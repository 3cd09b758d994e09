"""A service at its own door takes access tokens only when it is told to, and then asks auth about each."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api import Api, Person, add_member
from tests.services.helpers import unreachable

Service = Callable[[str], Api]


@pytest.fixture
def door(service: Service, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Customer, called past the gateway, where it asks auth about tokens."""
    monkeypatch.setenv("CUSTOMER_SERVICE_TOKEN_VALIDATION", "remote")
    return service("customer")


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


def test_a_token_opens_what_its_role_may(door: Api, owner: Person) -> None:
    made = door.post("/customers/", {"name": "Ana"}, headers=bearer(owner)).ok(201)["customer"]
    assert owner.get(f"/api/customers/{made['id']}").ok()["customer"] == made
    viewer = add_member(owner, "viewer")
    assert door.get("/customers", headers=bearer(viewer)).ok()["total"] == 1
    door.post("/customers", {"name": "Bia"}, headers=bearer(viewer)).problem(403, "forbidden")


def test_a_stranger_sees_their_own_tenant(door: Api, owner: Person, stranger: Person) -> None:
    made = owner.post("/api/customers/", {"name": "Ana"}).ok(201)["customer"]
    door.get(f"/customers/{made['id']}", headers=bearer(stranger)).problem(404, "no_such_customer")


def test_a_session_that_ended_is_refused_at_once(door: Api, owner: Person) -> None:
    owner.post("/auth/logout", {}).ok()
    door.get("/customers", headers=bearer(owner)).problem(401, "invalid_token")


@pytest.mark.parametrize("value", ["Bearer", "Bearer x", "Basic dXNlcjpwYXNz", "Bearer " + "a" * 9000, ""])
def test_what_is_no_token_is_refused(door: Api, value: str) -> None:
    assert door.get("/customers", headers={"Authorization": value}).status == 401


def test_headers_alone_and_internal_routes_stay_shut(door: Api, owner: Person) -> None:
    names = {"X-User-Id": owner.user_id, "X-Tenant-Id": owner.tenant_id}
    door.get("/customers", headers=names).problem(401, "unauthenticated")
    internal = door.get(f"/internal/customers/{owner.user_id}", headers=bearer(owner))
    internal.problem(401, "unauthenticated")


def test_headers_that_name_somebody_else_are_refused(door: Api, owner: Person, stranger: Person) -> None:
    for name, value in (("X-User-Id", stranger.user_id), ("X-Tenant-Id", stranger.tenant_id)):
        door.get("/customers", headers=bearer(owner) | {name: value}).problem(400, "identity_mismatch")


def test_without_auth_nothing_opens(door: Api, owner: Person) -> None:
    with unreachable("auth"):
        assert door.get("/customers", headers=bearer(owner)).problem(503, "unavailable")["upstream"] == "auth"
        assert door.get("/health").ok()["auth"] == "unreachable"
    assert door.get("/health").ok()["auth"] == "healthy"


def test_it_is_off_unless_it_is_switched_on(service: Service, owner: Person) -> None:
    answer: Any = service("customer").get("/customers", headers=bearer(owner))
    answer.problem(401, "unauthenticated")
    assert "auth" not in service("customer").get("/health").ok()
