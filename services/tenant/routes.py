"""Tenant over HTTP."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from kit.blueprint import Blueprint
from kit.identity import internal, requires
from kit.pages import Page
from kit.revocation import feed
from kit.schema import PageQuery
from services.tenant import domain, models, schemas

tenants = Blueprint("tenants", __name__, url_prefix="/tenants", description="Tenants, settings and members.")
siblings = Blueprint("siblings", __name__, url_prefix="/internal")


@tenants.post("/")
@requires()
@tenants.accepts(schemas.Tenant)
@tenants.answers(201, schemas.Tenant, message="Tenant created. Switch to it to work in it.")
def create_tenant(data: dict[str, Any]) -> models.Tenant:
    """Open a tenant of one's own."""
    return domain.create_tenant(**data)


@tenants.get("/")
@requires()
@tenants.filters(PageQuery)
@tenants.answers(200, schemas.Tenant)
def list_tenants(page: dict[str, Any]) -> Page:
    """List one's tenants; a platform administrator sees all."""
    return domain.list_tenants(**page)


@tenants.get("/<uuid:tenant_id>")
@requires("tenant:read")
@tenants.answers(200, schemas.Tenant)
def get_tenant(tenant_id: UUID) -> models.Tenant:
    """Show a tenant."""
    return domain.get_tenant(tenant_id)


@tenants.put("/<uuid:tenant_id>")
@requires("tenant:manage")
@tenants.accepts(schemas.Tenant(partial=True))
@tenants.answers(200, schemas.Tenant, message="Tenant updated.")
def update_tenant(data: dict[str, Any], tenant_id: UUID) -> models.Tenant:
    """Rename a tenant."""
    return domain.update_tenant(tenant_id, **data)


@tenants.delete("/<uuid:tenant_id>")
@requires("tenant:own")
@tenants.answers(200, message="Tenant deactivated.")
def deactivate_tenant(tenant_id: UUID) -> None:
    """Close a tenant; nothing is lost."""
    domain.deactivate_tenant(tenant_id)


@tenants.patch("/<uuid:tenant_id>/activate")
@requires(domain.ADMINISTER)
@tenants.answers(200, schemas.Tenant, message="Tenant reactivated.")
def activate_tenant(tenant_id: UUID) -> models.Tenant:
    """Open a closed tenant again."""
    return domain.activate_tenant(tenant_id)


@tenants.get("/<uuid:tenant_id>/settings")
@requires("tenant:read")
@tenants.answers(200, schemas.Settings)
def get_settings(tenant_id: UUID) -> SimpleNamespace:
    """Show every setting, defaults included."""
    return domain.get_settings(tenant_id)


@tenants.put("/<uuid:tenant_id>/settings")
@requires("tenant:manage")
@tenants.accepts(schemas.Settings(partial=True))
@tenants.answers(200, schemas.Settings, message="Settings updated.")
def update_settings(data: dict[str, Any], tenant_id: UUID) -> SimpleNamespace:
    """Change settings, in part or whole."""
    return domain.update_settings(tenant_id, **data)


@tenants.get("/<uuid:tenant_id>/members")
@requires("member:read")
@tenants.filters(PageQuery)
@tenants.answers(200, schemas.Member)
def list_members(page: dict[str, Any], tenant_id: UUID) -> Page:
    """List the members of a tenant."""
    return domain.list_members(tenant_id, **page)


@tenants.post("/<uuid:tenant_id>/members")
@requires("member:manage")
@tenants.accepts(schemas.NewMember)
@tenants.answers(202, schemas.Offer, message="Offered. Who goes by this address or name can accept after logging in.")
def offer_membership(data: dict[str, Any], tenant_id: UUID) -> models.Offer:
    """Offer a membership; the person accepts it or not.

    The answer is the same whether or not anybody has registered with this address or name. The offer is pending for 30
    days; asked again, it is renewed. An owner is made of a member, by a change of role. Beyond 30 unanswered offers in
    24 hours, of the tenant or of yourself, it is 429.
    """
    return domain.offer_membership(tenant_id, **data)


@tenants.put("/<uuid:tenant_id>/members/<uuid:user_id>")
@requires("member:manage")
@tenants.accepts(schemas.Member(partial=True))
@tenants.answers(200, schemas.Member, message="Role changed.")
def change_role(data: dict[str, Any], tenant_id: UUID, user_id: UUID) -> models.Membership:
    """Give a member another role."""
    return domain.change_role(tenant_id, user_id, **data)


@tenants.delete("/<uuid:tenant_id>/members/<uuid:user_id>")
@requires("member:manage")
@tenants.answers(200, message="Member removed.")
def remove_member(tenant_id: UUID, user_id: UUID) -> None:
    """Take a person out of the tenant."""
    domain.remove_member(tenant_id, user_id)


@tenants.get("/<uuid:tenant_id>/offers")
@requires("member:manage")
@tenants.filters(PageQuery)
@tenants.answers(200, schemas.Offer)
def list_offers(page: dict[str, Any], tenant_id: UUID) -> Page:
    """List the memberships that a tenant offers.

    An offer that was declined stays pending, like one to an address that nobody has.
    """
    return domain.list_offers(tenant_id, **page)


@tenants.delete("/<uuid:tenant_id>/offers/<uuid:offer_id>")
@requires("member:manage")
@tenants.answers(200, message="Offer withdrawn.")
def withdraw_offer(tenant_id: UUID, offer_id: UUID) -> None:
    """Withdraw an offer."""
    domain.withdraw_offer(tenant_id, offer_id)


@tenants.get("/offers")
@requires()
@tenants.filters(PageQuery)
@tenants.answers(200, schemas.ReceivedOffer)
def list_received_offers(page: dict[str, Any]) -> Page:
    """List the memberships that are offered to oneself.

    A client asks after each log-in. Names are texts that strangers chose.
    """
    return domain.list_received_offers(**page)


@tenants.post("/offers/<uuid:offer_id>/accept")
@requires()
@tenants.answers(200, schemas.Membership, message="Accepted. Switch to the tenant to work in it.")
def accept_offer(offer_id: UUID) -> Any:
    """Accept a membership that is offered to oneself."""
    return domain.accept_offer(offer_id)


@tenants.post("/offers/<uuid:offer_id>/decline")
@requires()
@tenants.answers(200, message="Declined. The tenant is not told, and cannot ask again for 30 days.")
def decline_offer(offer_id: UUID) -> None:
    """Decline a membership that is offered to oneself."""
    domain.decline_offer(offer_id)


@tenants.post("/<uuid:tenant_id>/leave")
@requires("tenant:read")
@tenants.answers(200, message="You left the tenant.")
def leave(tenant_id: UUID) -> None:
    """Leave a tenant."""
    domain.leave(tenant_id)


@siblings.put("/tenants/<uuid:tenant_id>")
@internal("auth")
@siblings.accepts(schemas.Provision)
@siblings.answers(200, schemas.Membership)
def provision(data: dict[str, Any], tenant_id: UUID) -> Any:
    """Make sure that a tenant exists and a person belongs to it."""
    return domain.provision(tenant_id, **data)


@siblings.get("/users/<uuid:user_id>/memberships")
@internal("auth")
@siblings.answers(200, schemas.Memberships)
def list_memberships(user_id: UUID) -> dict[str, Any]:
    """Every active tenant of a person."""
    return {"memberships": domain.memberships_of(user_id)}


blueprints = (tenants, siblings, feed(models.db, models.Revocation))
