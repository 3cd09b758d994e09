"""Members: the people of a tenant, their roles, and how they go."""

from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from contracts import roles
from kit import clock, preconditions
from kit.errors import Conflict, Forbidden, NotFound
from kit.identity import current
from kit.pages import Page, paginate
from kit.revocation import revoke
from services.tenant.domain.refusals import refuse_until
from services.tenant.domain.tenants import NoSuchTenant, own
from services.tenant.models import Membership, Offer, Revocation, Tenant, db

MEMBER_ORDER = {"created_at": Membership.created_at, "user_id": Membership.user_id}


class NoSuchMember(NotFound):
    """This person is not a member of the tenant."""


class LastOwner(Conflict):
    """A tenant keeps at least one owner. Make somebody else an owner first."""


class OwnersOnly(Forbidden):
    """Only an owner may make, change or remove an owner."""


def list_members(tenant_id: UUID, **page: Any) -> Page:
    """The members of one's tenant. Raises NoSuchTenant."""
    tenant = db.find(Tenant, tenant_id, NoSuchTenant)
    query = select(Membership).where(Membership.tenant_id == tenant.tenant_id)
    return paginate(db, query, MEMBER_ORDER, **page)


def change_role(tenant_id: UUID, user_id: UUID, *, role: str | None = None) -> Membership:
    """Give a member another role; it holds from the next token on, and the old one stops at once."""
    membership = _member_to_change(tenant_id, user_id)
    if role is None:  # a PUT may hold nothing, as everywhere
        return membership
    _check_grant(role)
    if membership.role == roles.OWNER and role != roles.OWNER:
        _keep_an_owner(tenant_id)
    membership.role = role
    if not roles.may_manage(role):
        _withdraw_offers_by(tenant_id, user_id)
    revoke(db, Revocation, "membership", f"{user_id}:{tenant_id}")
    return membership


def remove_member(tenant_id: UUID, user_id: UUID) -> None:
    """Take a person out of the tenant. Raises NoSuchMember, LastOwner, OwnersOnly."""
    membership = _member_to_change(tenant_id, user_id)
    if membership.role == roles.OWNER:
        _keep_an_owner(tenant_id)
    db.session.delete(membership)
    _withdraw_offers_by(tenant_id, user_id)
    refuse_until(clock.now(), tenant_id, user_id)  # an offer from before does not bring the person back
    revoke(db, Revocation, "membership", f"{user_id}:{tenant_id}")


def leave(tenant_id: UUID) -> None:
    """Leave one's present tenant; its last owner cannot. Raises NoSuchTenant, LastOwner."""
    if current.user_id is not None:
        remove_member(tenant_id, current.user_id)


def lock_members(tenant_id: UUID) -> Tenant:
    """Lock the members and offers of one's tenant until the transaction ends. Raises NoSuchTenant, TenantInactive."""
    return own(lock_tenant(tenant_id))


def lock_tenant(tenant_id: UUID) -> Tenant | None:
    """Lock a tenant's row. All changes of members and offers wait here for each other: counts stay right."""
    # Not `db.lock`: the client's precondition is about a member or an offer, not about the tenant.
    query = select(Tenant).where(Tenant.tenant_id == tenant_id).with_for_update()
    return db.session.scalar(query.execution_options(populate_existing=True))


def _member(tenant_id: UUID, user_id: UUID) -> Any:
    return select(Membership).where(Membership.tenant_id == tenant_id, Membership.user_id == user_id)


def _member_to_change(tenant_id: UUID, user_id: UUID) -> Membership:
    lock_members(tenant_id)
    membership = db.session.scalar(_member(tenant_id, user_id))
    if membership is None:
        raise NoSuchMember
    preconditions.check(membership)
    if membership.role == roles.OWNER and user_id != current.user_id:
        _check_grant(roles.OWNER)
    return membership  # type: ignore[no-any-return]


def _check_grant(role: str) -> None:
    if role == roles.OWNER and not current.may("tenant:own"):
        raise OwnersOnly


def _keep_an_owner(tenant_id: UUID) -> None:
    owners = select(func.count()).where(Membership.tenant_id == tenant_id, Membership.role == roles.OWNER)
    if (db.session.scalar(owners) or 0) < 2:
        raise LastOwner


def _withdraw_offers_by(tenant_id: UUID, user_id: UUID) -> None:
    # A manager who is gone must not come back under another name, by an offer of their own.
    theirs = (Offer.tenant_id == tenant_id, Offer.offered_by == user_id, Offer.withdrawn_at.is_(None))
    db.session.execute(update(Offer).where(*theirs).values(withdrawn_at=clock.now()))
