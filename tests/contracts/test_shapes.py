"""What siblings say to each other, against the real other side: a contract that drifts fails here."""

from uuid import UUID, uuid4

import pytest
from flask import g

from contracts import auth, revocations, tenant
from kit import clock
from kit.errors import BadGateway, NotFound, Problem, Unavailable
from tests.api import Person, add_member
from tests.services.helpers import app_of, unreachable


def test_auth_reads_memberships_the_oldest_first(owner: Person, stranger: Person) -> None:
    stranger.post(f"/api/tenants/{stranger.tenant_id}/members", {"email": owner.email, "role": "admin"}).ok(201)
    with app_of("auth").app_context():
        g.component = "auth"
        found = tenant.memberships_of(UUID(owner.user_id))
        assert [(str(m.tenant_id), m.role) for m in found] == [
            (owner.tenant_id, "owner"),
            (stranger.tenant_id, "admin"),
        ]
        assert tenant.memberships_of(uuid4()) == []


def test_provisioning_twice_changes_nothing(platform: object) -> None:
    fields = {"tenant_name": "T", "name": "N", "email": "n@example.com"}
    tenant_id, first, second = clock.new_id(), uuid4(), uuid4()
    with app_of("auth").app_context():
        g.component = "auth"
        made = [tenant.provision(tenant_id, user_id=user, **fields) for user in (first, second, first, second)]
    assert [membership.role for membership in made] == ["owner", "member", "owner", "member"]


def test_tenant_finds_people_by_any_identifier(owner: Person) -> None:
    with app_of("tenant").app_context():
        g.component = "tenant"
        for identifier in (owner.email, owner.email.upper(), owner.user_id):
            assert str(auth.find_person(identifier).id) == owner.user_id
        for identifier in (str(uuid4()), "nobody@example.com", "%", "a/b?c=d&e"):
            with pytest.raises(Problem) as raised:
                auth.find_person(identifier)
            assert (raised.value.status, raised.value.code) == (404, "no_such_user")


def test_a_wrong_caller_is_refused(owner: Person) -> None:
    with app_of("customer").app_context():
        g.component = "customer"
        with pytest.raises(Problem) as raised:
            tenant.memberships_of(UUID(owner.user_id))
    assert raised.value.status == 401


def test_a_dead_sibling_is_named(platform: object) -> None:
    with unreachable("tenant"), app_of("auth").app_context():
        g.component = "auth"
        with pytest.raises(Unavailable, match="tenant cannot be reached"):
            tenant.memberships_of(uuid4())
    assert not issubclass(Unavailable, (BadGateway, NotFound))


def test_the_gateway_reads_what_was_revoked_since(owner: Person) -> None:
    since = clock.now()
    member = add_member(owner, "viewer")
    owner.delete(f"/api/tenants/{owner.tenant_id}/members/{member.user_id}").ok()
    member.login().post("/auth/logout").ok()
    with owner.target.app_context():
        g.component = "gateway"
        found = {source: revocations.since(source, since) for source in revocations.SOURCES}
    subjects = {(row.kind, row.subject) for row in found["tenant"]}
    assert ("membership", f"{member.user_id}:{owner.tenant_id}") in subjects
    assert {row.kind for row in found["auth"]} == {"session"}
    assert all(row.at >= since for rows in found.values() for row in rows)
