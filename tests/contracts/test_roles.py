import pytest

from contracts.roles import PERMISSIONS, TENANT_ROLES, permissions
from kit.identity import Identity


def may(role: str, permission: str) -> bool:
    return Identity(permissions=permissions([role])).may(permission)


@pytest.mark.parametrize(
    ("verb", "least"),
    [("read", "viewer"), ("write", "member"), ("delete", "admin"), ("manage", "admin"), ("own", "owner")],
)
def test_a_verb_needs_at_least_a_role(verb: str, least: str) -> None:
    order = ["viewer", "member", "admin", "owner"]
    for role in order:
        for noun in ("customer", "tenant", "anything"):
            assert may(role, f"{noun}:{verb}") is (order.index(role) >= order.index(least))


def test_no_role_of_a_tenant_administers_the_platform_and_the_administrator_has_no_tenant() -> None:
    assert not any(may(role, "platform:administer") for role in TENANT_ROLES)
    assert permissions(["platform_admin"]) == {"platform:administer"}


def test_an_unknown_role_grants_nothing_and_several_add_up() -> None:
    assert permissions([]) == permissions(["king", "", "OWNER"]) == frozenset()
    assert permissions(["viewer", "platform_admin", "king"]) == PERMISSIONS["viewer"] | PERMISSIONS["platform_admin"]


@pytest.mark.parametrize("permission", ["", "customer", ":", "customer:", ":read", "customer:read:more", "*", "*:*"])
def test_an_odd_permission_is_granted_to_nobody(permission: str) -> None:
    held = Identity(permissions=frozenset({"customer:write"}))
    assert not held.may(permission)
