"""The nouns of tenant."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, synonym

from kit.db import Database, Stamped, TenantOwned
from kit.idempotency import replay_table
from kit.revocation import revocation_table

db = Database()


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


Revocation = revocation_table(db)
Replay = replay_table(db)
