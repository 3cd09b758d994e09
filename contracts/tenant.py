"""How the rest of the platform speaks to tenant."""

from dataclasses import dataclass
from uuid import UUID

from kit.client import Sibling

api = Sibling("tenant")


@dataclass(frozen=True, slots=True)
class Membership:
    """A person's role in a tenant that is active."""

    tenant_id: UUID
    tenant_name: str
    role: str


@dataclass(frozen=True, slots=True)
class Memberships:
    memberships: list[Membership]


@dataclass(frozen=True, slots=True)
class Provisioned:
    membership: Membership


def memberships_of(user_id: UUID) -> list[Membership]:
    """The active tenants that a person belongs to, the oldest membership first."""
    return api.get(Memberships, "internal", "users", user_id, "memberships").memberships


def provision(tenant_id: UUID, *, user_id: UUID, tenant_name: str, name: str, email: str) -> Membership:
    """Make sure that a tenant exists and the person belongs to it: owner of a new one, member of an older one."""
    answer = api.put(
        Provisioned,
        *("internal", "tenants", tenant_id),
        user_id=user_id,
        tenant_name=tenant_name,
        name=name,
        email=email,
    )
    return answer.membership
