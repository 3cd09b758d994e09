"""The nouns of tenant."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, synonym

from contracts import roles
from kit.db import Database, Record, Stamped, TenantOwned, UserOwned, one_of
from kit.idempotency import replay_table
from kit.revocation import revocation_table

db = Database()

# Not owner: an address is not verified yet, so that a member is seen before they get all power over the tenant.
OFFERED_ROLES = tuple(role for role in roles.TENANT_ROLES if role != roles.OWNER)


class Tenant(db.Model, TenantOwned, Stamped):
    """A company, team or person whose data is kept apart. `settings` holds only what differs from the defaults."""

    # `everywhere`: a platform administrator lists all, and a person lists those of several tenants they belong to.
    __fence__: ClassVar = ("tenant", "everywhere")

    id = synonym("tenant_id")
    name: Mapped[str]
    is_active: Mapped[bool] = mapped_column(default=True)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Membership(db.Model, TenantOwned, Stamped):
    """A person's role in a tenant. Name and address are copies from the day of joining, for lists."""

    # `user`: a person sees their own memberships, whichever tenant they work in just now.
    __fence__: ClassVar = ("tenant", "user", "everywhere")
    __table_args__ = (Index("ix_membership_user", "user_id", "created_at"),)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.tenant_id"), primary_key=True, sort_order=-20)
    user_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-10)
    role: Mapped[str]
    name: Mapped[str]
    email: Mapped[str]


class Offer(db.Model, TenantOwned, Record):
    """A membership that waits for a person's consent; it holds what its manager wrote, and nothing about the person.

    `identifier` is as it was typed, `addressee` the form in which auth keeps identifiers. The names are those of the
    tenant and the manager at that time. There is at most one offer for an addressee in a tenant, and nothing that the
    person does but accept changes it.
    """

    # `everywhere`: a person looks for their own addresses in all tenants.
    __fence__: ClassVar = ("tenant", "everywhere")
    __table_args__ = (
        one_of("role", OFFERED_ROLES),
        Index("uq_offer_addressee", "tenant_id", "addressee", unique=True),
        Index("ix_offer_addressee", "addressee"),
    )
    identifier: Mapped[str]
    addressee: Mapped[str]
    role: Mapped[str]
    offered_by: Mapped[UUID]
    tenant_name: Mapped[str]
    offered_by_name: Mapped[str]
    expires_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]

    @property
    def state(self) -> str:
        """Return the state that a manager may see, which is the same whatever the person did."""
        return "pending"


class Refusal(db.Model, UserOwned):
    """A person does not see what a tenant offers before `until`. It is the person's, and no tenant can read it."""

    # `everywhere`: a manager who removes a member ends the offers from before.
    __fence__: ClassVar = ("user", "everywhere")

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    until: Mapped[datetime]


Revocation = revocation_table(db)
Replay = replay_table(db)
