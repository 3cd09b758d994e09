"""What siblings say to each other, against the real other side: a contract that drifts fails here."""

from uuid import UUID, uuid4

import pytest
from flask import g

from contracts import auth, revocations, tenant
from kit import clock
from kit.errors import BadGateway, NotFound, Problem, Unavailable
from tests.api import Person, add_member, join, new_person
from tests.services.helpers import app_of, unreachable


def test_auth_reads_memberships_the_oldest_first(owner: Person, stranger: Person) -> None:
    join(stranger, owner, "admin")
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


def test_tenant_reads_a_person_by_id_and_by_nothing_else(platform: object) -> None:
    person = new_person(platform, username=f"U{uuid4().hex}")
    with app_of("tenant").app_context():
        g.component = "tenant"
        found = auth.person_of(UUID(person.user_id))
        assert (str(found.id), found.email) == (person.user_id, person.email)
        assert found.identifiers == [person.email, person.get("/auth/me").ok()["user"]["username"]]
        for identifier in (uuid4(), person.email, found.identifiers[1], "%"):
            with pytest.raises(Problem) as raised:
                auth.person_of(identifier)  # type: ignore[arg-type]
            assert raised.value.status == 404


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
