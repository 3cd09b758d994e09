"""What people do, from the first day to the last, through the gateway."""

from collections.abc import Callable
from typing import Any

from tests.api import Answer, Api, Person, add_member, join
from tests.topologies import eventually

CUSTOMERS = "/api/customers"
REVOKED_WITHIN_S = 2.0


def refused(ask: Callable[[], Answer], code: str) -> Answer:
    """The refusal that has to come within the time in which a revocation reaches the gateway."""

    def answer() -> Answer | None:
        given = ask()
        return given if given.status == 401 else None

    found = eventually(answer, f"401 {code}", REVOKED_WITHIN_S)
    found.problem(401, code)
    return found


def test_a_customer_from_the_first_call_to_the_last(register: Callable[..., Person]) -> None:
    owner = register()
    made = owner.post(CUSTOMERS, {"name": "Ana Lima", "email": "ana@example.com"}).ok(201)
    customer = made["customer"]
    assert made["message"]
    path = f"{CUSTOMERS}/{customer['id']}"
    shown = owner.get(path)
    assert shown.ok()["customer"] == customer
    etag = shown.headers["ETag"]

    changed = owner.put(path, {"name": "Ana Souza"}, headers={"If-Match": etag}).ok()["customer"]
    assert changed["name"] == "Ana Souza"
    owner.put(path, {"name": "Ana Costa"}, headers={"If-Match": etag}).problem(412, "precondition_failed")

    owner.delete(path).ok()
    assert owner.get(CUSTOMERS).ok()["total"] == 0
    assert owner.patch(f"{path}/activate").ok()["customer"]["is_active"] is True
    owner.delete(f"{path}?hard_delete=true").ok()
    owner.get(path).problem(404, "no_such_customer")


def test_a_list_is_paged_and_searched(register: Callable[..., Person]) -> None:
    owner = register()
    for name in ("Ana Lima", "Bruno Dias", "Carla Dias"):
        owner.post(CUSTOMERS, {"name": name}).ok(201)
    page = owner.get(f"{CUSTOMERS}?page=2&per_page=2").ok()
    assert (page["total"], page["pages"], page["page"], page["per_page"]) == (3, 2, 2, 2)
    assert len(page["customers"]) == 1
    found = owner.get(f"{CUSTOMERS}?search=dias").ok()["customers"]
    assert {customer["name"] for customer in found} == {"Bruno Dias", "Carla Dias"}


def test_every_address_takes_a_trailing_slash_and_an_alias(register: Callable[..., Person]) -> None:
    owner = register()
    for path in ("/api/customers", "/api/customers/", "/customer/customers", "/customer/customers/"):
        assert owner.get(path).ok()["customers"] == []
    for path in ("/auth/me", "/auth/me/", "/api/auth/me"):
        assert owner.get(path).ok()["user"]["id"] == owner.user_id


def test_another_tenant_sees_and_changes_nothing(register: Callable[..., Person]) -> None:
    owner, stranger = register(), register()
    customer = owner.post(CUSTOMERS, {"name": "Ana"}).ok(201)["customer"]
    path = f"{CUSTOMERS}/{customer['id']}"
    stranger.get(path).problem(404, "no_such_customer")
    stranger.put(path, {"name": "Mine"}).problem(404, "no_such_customer")
    stranger.delete(path).problem(404, "no_such_customer")
    assert stranger.get(CUSTOMERS).ok()["total"] == 0
    forged = {"X-Tenant-Id": owner.tenant_id, "X-User-Id": owner.user_id}
    assert stranger.get(CUSTOMERS, headers=forged).ok()["total"] == 0
    stranger.get(f"/api/tenants/{owner.tenant_id}").problem(404, "no_such_tenant")
    assert owner.get(path).ok()["customer"]["name"] == "Ana"


def test_colleagues_may_do_what_their_roles_allow(register: Callable[..., Person]) -> None:
    owner = register()
    viewer, member, admin = (add_member(owner, role) for role in ("viewer", "member", "admin"))
    path = f"{CUSTOMERS}/{member.post(CUSTOMERS, {'name': 'Ana'}).ok(201)['customer']['id']}"
    assert viewer.get(path).ok()["customer"]["name"] == "Ana"
    viewer.post(CUSTOMERS, {"name": "Bia"}).problem(403, "forbidden")
    member.put(path, {"name": "Ana Lima"}).ok()
    member.delete(path).problem(403, "forbidden")
    admin.delete(path).ok()
    members = owner.get(f"/api/tenants/{owner.tenant_id}/members").ok()["members"]
    assert sorted(entry["role"] for entry in members) == ["admin", "member", "owner", "viewer"]


def test_a_person_switches_between_tenants(register: Callable[..., Person]) -> None:
    owner, guest = register(), register()
    home = guest.tenant_id
    join(owner, guest)
    owner.post(CUSTOMERS, {"name": "Ana"}).ok(201)
    grant = guest.post("/auth/switch-tenant", {"tenant_id": owner.tenant_id}).ok()
    there = Api(guest.target, grant["access_token"])
    assert there.get(CUSTOMERS).ok()["total"] == 1
    assert guest.login(home).get(CUSTOMERS).ok()["total"] == 0
    nowhere = guest.post("/auth/switch-tenant", {"tenant_id": "0197a3c0-0000-7000-8000-000000000001"})
    assert nowhere.status in (403, 404)


def test_a_member_who_is_removed_is_out_at_once(register: Callable[..., Person]) -> None:
    owner = register()
    member = add_member(owner, "member")
    member.get(CUSTOMERS).ok()
    owner.delete(f"/api/tenants/{owner.tenant_id}/members/{member.user_id}").ok()
    refused(lambda: member.get(CUSTOMERS), "token_revoked")


def test_a_session_is_refreshed_and_ends_with_logout(register: Callable[..., Person]) -> None:
    owner = register()
    grant = owner.post("/auth/refresh", {"refresh_token": owner.refresh_token}).ok()
    fresh = Api(owner.target, grant["access_token"])
    fresh.get(CUSTOMERS).ok()
    other = owner.login()
    fresh.post("/auth/logout", {}).ok()
    refused(lambda: fresh.get(CUSTOMERS), "token_revoked")
    owner.post("/auth/refresh", {"refresh_token": grant["refresh_token"]}).problem(401, "session_ended")
    other.get(CUSTOMERS).ok()


def test_refusals_have_one_shape(target: Any, register: Callable[..., Person]) -> None:
    owner, nobody = register(), Api(target)
    unknown = "0197a3c0-0000-7000-8000-000000000001"
    bad = nobody.get(CUSTOMERS)
    bad.problem(401, "unauthenticated")
    assert bad.headers["WWW-Authenticate"] == "Bearer"
    owner.get(f"{CUSTOMERS}/{unknown}").problem(404, "no_such_customer")
    owner.get(f"{CUSTOMERS}/no-uuid").problem(404, "not_found")
    owner.get("/api/nothing").problem(404, "not_found")
    owner.request("PATCH", CUSTOMERS).problem(405, "method_not_allowed")
    owner.post(CUSTOMERS, {"name": ""}).problem(422, "validation_error")
    json = {"Content-Type": "application/json"}
    assert owner.post(CUSTOMERS, data=b"{", headers=json).problem(400, "malformed_json")
    owner.get(f"{CUSTOMERS}?page=abc").problem(422, "validation_error")
    login = {"email": owner.email, "password": "not the password"}
    nobody.post("/auth/login", login).problem(401, "invalid_credentials")


def test_a_request_id_is_answered_and_stands_in_the_refusal(target: Any) -> None:
    sent = {"X-Request-Id": "journey-0001"}
    answer = Api(target).get(CUSTOMERS, headers=sent)
    assert answer.headers["X-Request-Id"] == "journey-0001"
    assert answer.problem(401, "unauthenticated")["request_id"] == "journey-0001"
