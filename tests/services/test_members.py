from collections.abc import Callable
from typing import Any

import pytest

from kit.identity import HEADER
from tests.api import Api, Person, add_member
from tests.services.helpers import internal_token, raced_behind, statuses


def members(person: Person, user: Any = None, rest: str = "") -> str:
    suffix = f"/{getattr(user, 'user_id', user)}" if user else ""
    return f"/api/tenants/{person.tenant_id}/members{suffix}{rest}"


def role_of(owner: Person, person: Person) -> str | None:
    rows = owner.get(members(owner) + "?per_page=100").ok()["members"]
    return next((row["role"] for row in rows if row["user_id"] == person.user_id), None)


class TestChange:
    def test_the_old_role_stops_at_once(self, owner: Person) -> None:
        member = add_member(owner, "member")
        member.post("/api/customers/", {"name": "x"}).ok(201)
        body = owner.put(members(owner, member), {"role": "viewer"}).ok()
        assert set(body) == {"message", "member"}
        assert body["member"]["role"] == "viewer"
        member.get("/api/customers/").problem(401, "token_revoked")
        again = member.login(owner.tenant_id)
        again.post("/api/customers/", {"name": "x"}).problem(403, "forbidden")
        again.get("/api/customers/").ok()

    def test_what_was_listed_may_be_sent_back(self, owner: Person) -> None:
        member = add_member(owner, "member")
        row = next(r for r in owner.get(members(owner)).ok()["members"] if r["user_id"] == member.user_id)
        changed = owner.put(members(owner, member), row | {"role": "admin"}).ok()["member"]
        assert (changed["role"], changed["version"]) == ("admin", 2)
        owner.put(members(owner, member), row | {"role": "viewer"}).problem(412, "precondition_failed")
        owner.put(members(owner, member), {"role": "viewer", "email": "x"}).problem(422, "validation_error")
        stale = {"If-Match": '"1"'}
        owner.put(members(owner, member), {"role": "viewer"}, headers=stale).problem(412, "precondition_failed")
        owner.put(members(owner, member), {"role": "viewer"}, headers={"If-Match": '"2"'}).ok()

    @pytest.mark.parametrize(
        "body", [{"role": "king"}, {"role": None}, {"role": 5}, {"role": "owner", "x": 1}], ids=str
    )
    def test_a_role_must_be_one(self, owner_of_all: Person, body: dict[str, Any]) -> None:
        owner_of_all.put(members(owner_of_all, owner_of_all), body).problem(422, "validation_error")

    def test_strangers_and_unknown_ids(self, api: Api, owner: Person, stranger: Person) -> None:
        for method, body in (("PUT", {"role": "viewer"}), ("DELETE", None)):
            api.request(method, members(owner, owner), body).problem(401, "unauthenticated")
            stranger.request(method, members(owner, owner), body).problem(404, "no_such_tenant")
            owner.request(method, members(owner, stranger), body).problem(404, "no_such_member")
            owner.request(method, members(owner, "1"), body).problem(404, "not_found")


class TestRemoveAndLeave:
    def test_a_removed_one_is_out_at_once(self, owner: Person) -> None:
        member = add_member(owner, "admin")
        assert set(owner.delete(members(owner, member)).ok()) == {"message"}
        member.get("/api/customers/").problem(401, "token_revoked")
        owner.delete(members(owner, member)).problem(404, "no_such_member")
        assert member.login().tenant_id != owner.tenant_id
        body = {"email": member.email, "password": member.password, "tenant_id": owner.tenant_id}
        assert Api(owner.target).post("/auth/login", body).status == 404

    def test_one_who_left_is_out_and_the_last_owner_stays(self, api: Api, owner: Person, stranger: Person) -> None:
        leave = f"/api/tenants/{owner.tenant_id}/leave"
        viewer = add_member(owner, "viewer")
        assert set(viewer.post(leave).ok()) == {"message"}
        viewer.post(leave).problem(401, "token_revoked")
        owner.post(leave).problem(409, "last_owner")
        stranger.post(leave).problem(404, "no_such_tenant")
        api.post(leave).problem(401, "unauthenticated")
        second = add_member(owner, "owner")
        owner.post(leave).ok()
        second.post(leave).problem(409, "last_owner")


class TestOwners:
    def test_the_last_owner_stays_one(self, owner: Person) -> None:
        owner.put(members(owner, owner), {"role": "admin"}).problem(409, "last_owner")
        owner.delete(members(owner, owner)).problem(409, "last_owner")
        owner.get("/api/customers/").ok()

    def test_only_owners_touch_owners(self, owner: Person) -> None:
        second, admin = add_member(owner, "owner"), add_member(owner, "admin")
        admin.put(members(owner, admin), {"role": "owner"}).problem(403, "owners_only")
        for target in (owner, second):
            admin.put(members(owner, target), {"role": "viewer"}).problem(403, "owners_only")
            admin.delete(members(owner, target)).problem(403, "owners_only")
        assert [role_of(owner, person) for person in (owner, second, admin)] == ["owner", "owner", "admin"]
        owner.put(members(owner, second), {"role": "viewer"}).ok()

    @pytest.mark.parametrize("how", ["leave", "demote themselves", "demote each other", "remove each other"])
    def test_two_owners_who_go_at_once_leave_one_behind(
        self, owner: Person, service: Callable[[str], Api], how: str
    ) -> None:
        """Past the gateway, which might refuse the slower one for a reason of its own: its token was revoked."""
        second, tenant = add_member(owner, "owner"), service("tenant")
        path, viewer = f"/tenants/{owner.tenant_id}", {"role": "viewer"}
        calls = []
        for me, other in ((owner, second), (second, owner)):
            target = f"{path}/members/{other.user_id if 'each other' in how else me.user_id}"
            method, at, body = {
                "leave": ("POST", f"{path}/leave", None),
                "remove each other": ("DELETE", target, None),
            }.get(how, ("PUT", target, viewer))
            headers = {HEADER: internal_token(me, tenant_id=owner.tenant_id)}
            calls.append(
                lambda method=method, at=at, body=body, headers=headers: tenant.request(method, at, body, headers)
            )
        held = f"SELECT 1 FROM membership WHERE tenant_id = '{owner.tenant_id}' FOR UPDATE"
        answers = raced_behind(held, *calls)
        assert statuses(answers) in ([200, 409], [200, 404])
        left = [person for person in (owner, second) if role_in(tenant, owner.tenant_id, person) == "owner"]
        assert len(left) == 1


def role_in(tenant: Api, tenant_id: str, person: Person) -> str | None:
    """A person's role as tenant itself says it."""
    headers = {HEADER: internal_token(person, tenant_id=tenant_id)}
    rows = tenant.get(f"/tenants/{tenant_id}/members", headers=headers).ok()["members"]
    return next((row["role"] for row in rows if row["user_id"] == person.user_id), None)
