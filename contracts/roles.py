"""What each role may do. The gateway expands roles to permissions when it mints; services see permissions only.

A permission is `noun:verb` and stands beside its route in `@requires`; `*:verb` grants the verb on every noun.
"""

OWNER, ADMIN, MEMBER, VIEWER = "owner", "admin", "member", "viewer"
PLATFORM_ADMIN = "platform_admin"

TENANT_ROLES = (OWNER, ADMIN, MEMBER, VIEWER)

_READS = frozenset({"*:read"})
_WRITES = _READS | {"*:write"}
_MANAGES = _WRITES | {"*:delete", "*:manage"}

PERMISSIONS: dict[str, frozenset[str]] = {
    VIEWER: _READS,
    MEMBER: _WRITES,
    ADMIN: _MANAGES,
    OWNER: _MANAGES | {"*:own"},
    PLATFORM_ADMIN: frozenset({"platform:administer"}),
}


def permissions(roles: list[str]) -> frozenset[str]:
    """Everything that these roles grant; an unknown role grants nothing."""
    return frozenset().union(*(PERMISSIONS.get(role, frozenset()) for role in roles))


def may_manage(role: str) -> bool:
    """Return whether a role manages members."""
    return "*:manage" in permissions([role])
