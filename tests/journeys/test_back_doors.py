"""What is not public cannot be reached, neither through the gateway nor past it."""

from typing import Any

import pytest

from tests.api import Api, Person, new_person
from tests.topologies import Running

HIDDEN = (
    *("/customer/metrics", "/customer/health", "/customer/ready", "/customer/openapi.json", "/customer/internal"),
    *("/auth/internal/users", "/auth/internal/revocations", "/tenant/internal/revocations", "/internal/revocations"),
    *("/api/internal/revocations", "/customer/internal/x", "/api/auth/internal/users", "/customer/docs", "/internal"),
)
DIRECT = (("customer", "/customers/"), ("tenant", "/tenants/"), ("auth", "/logout"), ("auth", "/internal/revocations"))


@pytest.fixture
def owner(target: Any) -> Person:
    return new_person(target)


@pytest.mark.parametrize("path", HIDDEN)
def test_what_is_inside_does_not_exist_outside(owner: Person, path: str) -> None:
    owner.get(path).problem(404, "not_found")
    owner.get(f"{path}/").problem(404, "not_found")


def test_the_gateways_own_pages_are_there(target: Any) -> None:
    assert Api(target).get("/live").ok()["status"] == "alive"
    assert Api(target).get("/ready").ok()["status"] == "ready"
    assert set(Api(target).get("/health").ok()["services"].values()) == {"healthy"}


@pytest.mark.parametrize(("service", "path"), DIRECT)
def test_a_service_believes_no_header_and_no_access_token(split: Running, service: str, path: str) -> None:
    person = new_person(split.url)
    direct = Api(f"http://127.0.0.1:{split.ports[service]}")
    method = "POST" if path == "/logout" else "GET"
    told = {"X-User-Id": person.user_id, "X-Tenant-Id": person.tenant_id}
    for headers in (
        {},
        told,
        {**told, "Authorization": f"Bearer {person.token}"},
        {"Txn-Token": person.token},
        {**told, "Txn-Token": "forged"},
    ):
        assert direct.request(method, path, headers=headers).status == 401, headers
