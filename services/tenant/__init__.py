"""Tenants, their settings and their members.

Owns membership: who belongs to which tenant, in which role. Promises that nobody becomes a member without consent, that
a tenant always keeps an owner, and that a role that was taken away stops working within a second.
"""

from services.tenant.app import create_app

__all__ = ["create_app"]
