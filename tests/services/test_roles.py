"""What each role may do: each operation, each role."""

from typing import Any

import pytest

from contracts.roles import TENANT_ROLES
from gateway.routes import TABLE, operations
from tests.api import Person, add_member, new_person

UNKNOWN = "0197a3c0-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
def staff(platform: Any) -> dict[str, Person]:
    """One person of each role, in one tenant; and an outsider without any part in it."""
    owner = new_person(platform)
    people = {role: add_member(owner, role) for role in TENANT_ROLES}
    return people | {"outsider": new_person(platform), "first": owner}


# Each operation with the least of the roles viewer < member < admin < owner that may do it.
MATRIX = [
    ("GET", "/api/customers/", None, "viewer"),
    ("POST", "/api/customers/", {"name": "x"}, "member"),
    ("GET", "/api/customers/{customer}", None, "viewer"),
    ("PUT", "/api/customers/{customer}", {"source": "x"}, "member"),
    ("DELETE", "/api/customers/{customer}", None, "admin"),
    ("DELETE", "/api/customers/{customer}?hard_delete=true", None, "admin"),
    ("PATCH", "/api/customers/{inactive}/activate", None, "member"),
    ("GET", "/api/tenants/{tenant}", None, "viewer"),
    ("PUT", "/api/tenants/{tenant}", {"name": "x"}, "admin"),
    ("GET", "/api/tenants/{tenant}/settings", None, "viewer"),
    ("PUT", "/api/tenants/{tenant}/settings", {}, "admin"),
    ("GET", "/api/tenants/{tenant}/members", None, "viewer"),
    ("POST", "/api/tenants/{tenant}/members", {"email": "{newcomer}"}, "admin"),
    ("GET", "/api/tenants/{tenant}/offers", None, "admin"),
    ("DELETE", "/api/tenants/{tenant}/offers/{offer}", None, "admin"),
    ("PUT", "/api/tenants/{tenant}/members/{colleague}", {"role": "viewer"}, "admin"),
    ("DELETE", "/api/tenants/{tenant}/members/{colleague}", None, "admin"),
    ("PATCH", "/api/tenants/{tenant}/activate", None, "nobody"),
]


@pytest.mark.parametrize("role", ["viewer", "member", "admin", "owner", "outsider"])
@pytest.mark.parametrize(("method", "path", "body", "least"), MATRIX, ids=lambda value: str(value)[:45])
def test_a_role_may_do_what_it_says_and_no_more(
    staff: dict[str, Person], role: str, method: str, path: str, body: Any, least: str
) -> None:
    order = ["viewer", "member", "admin", "owner", "nobody"]
    first = staff["first"]
    fill = {"tenant": first.tenant_id}
    if "customer" in path or "inactive" in path:
        customer = first.post("/api/customers/", {"name": "x"}).ok(201)["customer"]["id"]
        fill |= {"customer": customer, "inactive": customer}
    if "{inactive}" in path:
        first.delete(f"/api/customers/{customer}").ok()
    if "{colleague}" in path:
        fill["colleague"] = add_member(first, "member").user_id
    if "{offer}" in path:
        offer = first.post(f"/api/tenants/{first.tenant_id}/members", {"email": "somebody@example.com"})
        fill["offer"] = offer.ok(202)["offer"]["id"]
    if body and body.get("email"):
        body = {"email": new_person(first.target).email}
    answer = staff[role].request(method, path.format(**fill), body)
    if role == "outsider":
        is_list = path == "/api/customers/"
        assert answer.status in ((200, 201) if is_list else (403, 404))
        assert first.tenant_id not in str(answer.json)
    elif order.index(role) >= order.index(least):
        assert answer.status in (200, 201, 202), answer
    else:
        problem = answer.problem(403, "forbidden")
        assert problem["permission"].count(":") == 1


# The other operations: who may at all. `<id>` is one that nobody has, so that nothing is done.
ADMISSION = """
    viewer GET    /customers/<id>/history
    viewer GET    /customers/<id>/overview
    viewer GET    /customers/<id>/export
    admin  POST   /customers/<id>/erase
    viewer GET    /customers/<id>/duplicates
    admin  POST   /customers/<id>/merge
    viewer GET    /customers/duplicates
    viewer GET    /customers/tags
    member POST   /customers/batch/upsert
    admin  GET    /customers/export.csv
    member POST   /customers/import
    viewer GET    /customers/imports
    viewer GET    /customers/imports/<id>
    viewer GET    /customers/imports/<id>/rows
    viewer GET    /products
    member POST   /products
    viewer GET    /products/<id>
    member PUT    /products/<id>
    admin  DELETE /products/<id>
    member PATCH  /products/<id>/activate
    viewer GET    /products/<id>/prices
    viewer GET    /products/categories
    member POST   /products/categories
    viewer GET    /products/categories/<id>
    member PUT    /products/categories/<id>
    admin  DELETE /products/categories/<id>
    admin  GET    /products/catalogue
    admin  PUT    /products/catalogue
    admin  POST   /products/catalogue/rotate-key
    viewer GET    /customers/<id>/interactions
    member POST   /customers/<id>/interactions
    viewer GET    /customers/<id>/interactions/<id>
    member PUT    /customers/<id>/interactions/<id>
    admin  DELETE /customers/<id>/interactions/<id>
    viewer GET    /customers/<id>/timeline
    viewer GET    /customers/<id>/transactions
    member POST   /customers/<id>/transactions
    viewer GET    /customers/<id>/transactions/<id>
    member POST   /customers/<id>/transactions/<id>/settle
    member POST   /customers/<id>/transactions/<id>/reverse
    viewer GET    /customers/<id>/balance
    viewer GET    /customers/<id>/statement
    viewer GET    /customers/<id>/statement.csv
    viewer GET    /interactions
    viewer GET    /transactions
    viewer GET    /transactions/summary
    viewer GET    /interaction-types
    admin  POST   /interaction-types
    viewer GET    /interaction-types/<id>
    admin  PUT    /interaction-types/<id>
    admin  DELETE /interaction-types/<id>
    admin  PATCH  /interaction-types/<id>/activate
"""
ADMITTED = [tuple(line.split()) for line in ADMISSION.strip().splitlines()]


@pytest.mark.parametrize(("least", "method", "path"), ADMITTED)
def test_an_operation_admits_the_roles_that_it_says(
    staff: dict[str, Person], least: str, method: str, path: str
) -> None:
    order = ["viewer", "member", "admin", "owner"]
    for role in order:
        answer = staff[role].request(method, "/api" + path.replace("<id>", UNKNOWN))
        if order.index(role) < order.index(least):
            assert answer.problem(403, "forbidden")["permission"]
        else:
            assert answer.status in (200, 404, 415, 422, 428), (role, answer)


def test_the_lists_cover_every_operation_that_needs_a_role() -> None:
    chosen = {(o.method, o.path) for o in operations(TABLE) if o.service != "auth" and o.prefix == "/api"}
    listed = {(method, path.partition("?")[0].rstrip("/")) for method, path, *_ in MATRIX}
    for name in ("customer", "inactive", "tenant", "colleague", "offer"):
        listed = {(method, path.replace("{" + name + "}", "<id>")) for method, path in listed}
    listed = {(method, path.removeprefix("/api")) for method, path in listed}
    listed |= {(method, path) for _, method, path in ADMITTED}
    # Anybody may open and list tenants of their own, and answer what is offered to them; leaving and closing have tests
    # of their own.
    elsewhere = {
        ("GET", "/tenants"),
        ("POST", "/tenants"),
        ("POST", "/tenants/<id>/leave"),
        ("DELETE", "/tenants/<id>"),
        ("GET", "/tenants/offers"),
        ("POST", "/tenants/offers/<id>/accept"),
        ("POST", "/tenants/offers/<id>/decline"),
    }
    assert chosen - listed == elsewhere
    assert listed <= chosen


@pytest.mark.parametrize("role", ["viewer", "member", "admin"])
def test_only_an_owner_closes_a_tenant(staff: dict[str, Person], role: str) -> None:
    staff[role].delete(f"/api/tenants/{staff['first'].tenant_id}").problem(403, "forbidden")
