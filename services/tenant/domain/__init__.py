"""The verbs of tenant: tenants and their settings, members, and memberships that are offered."""

from services.tenant.domain.members import change_role, leave, list_members, remove_member
from services.tenant.domain.offers import (
    accept_offer,
    decline_offer,
    list_offers,
    list_received_offers,
    offer_membership,
    withdraw_offer,
)
from services.tenant.domain.tenants import (
    ADMINISTER,
    activate_tenant,
    create_tenant,
    deactivate_tenant,
    get_settings,
    get_tenant,
    list_tenants,
    memberships_of,
    provision,
    update_settings,
    update_tenant,
)

__all__ = [
    "ADMINISTER",
    "accept_offer",
    "activate_tenant",
    "change_role",
    "create_tenant",
    "deactivate_tenant",
    "decline_offer",
    "get_settings",
    "get_tenant",
    "leave",
    "list_members",
    "list_offers",
    "list_received_offers",
    "list_tenants",
    "memberships_of",
    "offer_membership",
    "provision",
    "remove_member",
    "update_settings",
    "update_tenant",
    "withdraw_offer",
]
