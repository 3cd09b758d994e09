"""Everybody of a tenant: a person in each role there is, whoever has a part in more than it, and visitors."""

from collections.abc import Callable
from typing import Any

from contracts.roles import ADMIN, OWNER, PERMISSIONS, TENANT_ROLES, VIEWER
from scripts.collection_files.plan import Operation
from tests.api import Person, add_member, join
from tests.security.twin.world import Sent, Told, World
from tests.services.helpers import promoted

GUEST, NOBODY, VISITOR = "guest", "nobody", "visitor"
PLATFORM_ROLES = tuple(role for role in PERMISSIONS if role not in TENANT_ROLES)

# What somebody may see of other tenants, by design.
ALLOWED = {
    "platform_admin": {
        "tenant.list_tenants": "an administrator of the platform sees which tenants there are",
        "tenant.get_tenant": "and each of them",
        "tenant.get_settings": "with its settings",
        "tenant.activate_tenant": "and opens those that were closed",
    },
    GUEST: {
        "auth.login": "a person chooses among the tenants they belong to",
        "auth.switch_tenant": "a person chooses among the tenants they belong to",
        "auth.me": "a person sees where they belong",
        "auth.refresh": "a person sees where they belong",
        "tenant.list_tenants": "a person sees where they belong",
    },
}

Ask = Callable[[Sent], Told]


def everybody(own: World, other: World) -> dict[str, Ask]:
    """How each of them asks. The guest works in the other tenant too, and speaks here with a token for this one."""
    owner, tenant_id = own.owner, own.variables["tenantId"]
    people = {role: add_member(owner, role) for role in TENANT_ROLES if role != OWNER} | {OWNER: owner}
    for role in PLATFORM_ROLES:
        people[role] = promoted(add_member(owner, ADMIN)).login(tenant_id)
    there, people[GUEST] = own.guest = guest(own, other)
    there.get("/api/customers/").ok()  # what was remembered of this visit must not serve the next one
    asking = {role: _asks(own.platform, person.token) for role, person in people.items()}
    key = {"X-Publishable-Key": own.variables["publishableKey"]}
    return asking | {NOBODY: _asks(own.platform, ""), VISITOR: _asks(own.platform, "", key)}


def may_see(role: str, operation: Operation) -> bool:
    """Whether an answer about another tenant is by design here."""
    return operation.id in ALLOWED.get(role, {})


def guest(own: World, other: World) -> tuple[Person, Person]:
    """Somebody who works for both: with a token for the other tenant, and with one for this."""
    person = add_member(own.owner, ADMIN)
    return join(other.owner, person, VIEWER), person.login(own.variables["tenantId"])


def _asks(platform: Any, token: str, headers: dict[str, str] | None = None) -> Ask:
    def ask(sent: Sent) -> Told:
        return Sent(sent.method, sent.path, sent.query, sent.headers | (headers or {}), sent.body).to(platform, token)

    return ask
