"""Every route of every service, called directly: only a token of the right kind, from the right key, opens it.

The forms of forgery are in tests/security/forgeries.py; here: which true token opens which door.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt

from alicerce.services import services
from contracts.roles import permissions
from kit import clock, identity, tokens
from kit.identity import GATEWAY, Access, Identity
from tests.api import Api, Person
from tests.security.doors import ID, services_doors
from tests.services.helpers import app_of, internal_token

Route = tuple[str, str, str, Access]


def routes(*kinds: str) -> list[Route]:
    """Service, method, path and access of every route of these kinds."""
    return [(door.service, door.method, door.path, door.access) for door in services_doors(*kinds)]


def refused(headers: dict[str, str], routes: list[Route], statuses: tuple[int, ...] = (401,)) -> None:
    assert len(routes) > 3
    for service, method, path, _ in routes:
        # The transport rather than a client: a body or a query must not matter, because none is looked at.
        answer = app_of(service).test_client().open(path, method=method, headers=headers, json=None)
        assert answer.status_code in statuses, (service, method, path, answer.status_code, headers)


def claims(**changes: Any) -> dict[str, Any]:
    moment = int(clock.timestamp())
    person = {"uid": ID, "tid": ID, "sid": ID, "perms": sorted(permissions(["owner"])), "wl": False}
    standard = {"iss": GATEWAY, "aud": tokens.AUDIENCE, "iat": moment, "exp": moment + 60, "sub": ID}
    return {name: value for name, value in (standard | person | changes).items() if value is not ...}


def signed(component: str = GATEWAY, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token with the key of a component, and anything changed."""
    kid, key = tokens.keyring().signing_key(component)
    return jwt.encode(claims(**changes), key, "EdDSA", {"typ": tokens.INTERNAL, "kid": kid} | (header or {}))


def test_the_token_of_this_test_would_open_a_door(platform: Any) -> None:
    answer = app_of("customer").test_client().get("/customers/", headers={identity.HEADER: signed()})
    assert answer.status_code == 200
    assert answer.json["customers"] == []


def test_headers_that_people_read_open_nothing(platform: Any) -> None:
    names = {"X-User-Id": ID, "X-Tenant-Id": ID, "X-Roles": "owner", "X-Session-Id": ID, "X-Internal-Caller": GATEWAY}
    refused({}, routes("person", "internal"))
    refused(names, routes("person", "internal"))


def test_an_access_token_opens_only_the_routes_that_say_so(owner: Person) -> None:
    bearer = {"Authorization": f"Bearer {owner.token}"}
    refused(bearer, [route for route in routes("person", "internal") if not route[3].bearer])
    assert [route[:3] for route in routes("person") if route[3].bearer and route[1] == "GET"] == [
        ("auth", "GET", "/me")
    ]
    refused({identity.HEADER: owner.token}, routes("person", "internal", "public"))
    for token in ("x", owner.token[:-4] + "AAAA", signed(), owner.refresh_token):
        assert app_of("auth").test_client().get("/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_person_does_not_reach_internal_routes(owner: Person) -> None:
    refused({identity.HEADER: internal_token(owner)}, routes("internal"))
    refused({identity.HEADER: signed(perms=["*:read", "*:write", "*:manage", "*:own"])}, routes("internal"))


def test_a_sibling_reaches_only_internal_routes_that_name_it(platform: Any) -> None:
    for component in (*services(), GATEWAY):
        token = identity.mint(component, Identity(user_id=UUID(ID), tenant_id=UUID(ID)), workload=True)
        headers = {identity.HEADER: token}
        refused(headers, routes("person"))
        others = [route for route in routes("internal") if component not in route[3].callers]
        refused(headers, [*others, *routes("person")])
        for service, method, path, access in routes("internal"):
            if component in access.callers:
                answer = app_of(service).test_client().open(path, method=method, headers=headers)
                assert answer.status_code in (200, 400, 404, 422), (service, path, answer.status_code)


def test_a_service_cannot_speak_for_a_person(platform: Any) -> None:
    for service in services():
        refused({identity.HEADER: signed(service, iss=service)}, routes("person", "internal"))
        refused({identity.HEADER: signed(service)}, routes("person", "internal", "public"))


def test_headers_that_differ_from_the_token_are_refused(platform: Any) -> None:
    other = ID.replace("1", "2")
    for name, value in (
        ("X-User-Id", other),
        ("X-Tenant-Id", other),
        ("X-User-Id", ""),
        ("X-Tenant-Id", ID.upper() + " "),
    ):
        refused({identity.HEADER: signed(), name: value}, routes("person", "internal", "public"), (400,))
    workload = identity.mint("tenant", Identity(), workload=True)
    refused({identity.HEADER: workload, "X-User-Id": ID}, routes("person", "internal"), (400,))
    right = {identity.HEADER: signed(), "X-User-Id": ID, "X-Tenant-Id": ID}
    assert app_of("customer").test_client().get("/customers/", headers=right).status_code == 200


def test_headers_that_differ_from_an_access_token_are_refused(owner: Person, stranger: Person) -> None:
    bearer = {"Authorization": f"Bearer {owner.token}"}
    client = app_of("auth").test_client()
    for name, value in (("X-User-Id", stranger.user_id), ("X-Tenant-Id", stranger.tenant_id), ("X-User-Id", "")):
        answer = client.get("/me", headers=bearer | {name: value})
        assert (answer.status_code, answer.json["code"]) == (400, "identity_mismatch"), name
    right = {"X-User-Id": owner.user_id, "X-Tenant-Id": owner.tenant_id}
    assert client.get("/me", headers=bearer | right).status_code == 200


def test_a_token_that_was_good_expires(owner: Person) -> None:
    headers = {identity.HEADER: internal_token(owner)}
    client = app_of("customer").test_client()
    assert client.get("/customers/", headers=headers).status_code == 200
    with clock.shifted(timedelta(seconds=identity.LIFETIME_S + tokens.LEEWAY_S + 1)):
        refused(headers, routes("person"))


def test_a_person_without_a_permission_is_turned_away_everywhere(owner: Person) -> None:
    needing = [route for route in routes("person") if route[3].permission]
    who = Identity(GATEWAY, UUID(owner.user_id), UUID(owner.tenant_id))
    refused({identity.HEADER: identity.mint(GATEWAY, who)}, needing, (403,))
    assert {route[0] for route in needing} == {"customer", "interaction", "product", "tenant"}


def test_no_internal_route_is_reached_through_the_gateway(api: Api, owner: Person) -> None:
    for service, method, path, _ in [route for route in routes("internal") if route[1] != "HEAD"]:
        for prefix in ("/api", f"/{service}", "/auth", "/api/auth", f"/api/{service}", ""):
            answer = owner.request(method, prefix + path)
            assert answer.status in (404, 405), (method, prefix + path)
