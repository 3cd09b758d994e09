"""The verbs of tenant."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from contracts import auth, roles
from kit import clock, preconditions
from kit.errors import Conflict, Forbidden, NotFound
from kit.identity import current
from kit.pages import Page, paginate
from kit.revocation import revoke
from services.tenant.models import Membership, Revocation, Tenant, db

DEFAULTS: dict[str, Any] = {
    "locale": "pt-BR",
    "timezone": "America/Sao_Paulo",
    "currency": "BRL",
    "week_starts_on": "monday",
    "support_email": None,
}

TENANT_ORDER = {"created_at": Tenant.created_at, "name": Tenant.name, "id": Tenant.tenant_id}
MEMBER_ORDER = {"created_at": Membership.created_at, "user_id": Membership.user_id}
ADMINISTER = "platform:administer"


class NoSuchTenant(NotFound):
    """This tenant does not exist."""


class NoSuchMember(NotFound):
    """This person is not a member of the tenant."""


class TenantInactive(Conflict):
    """This tenant is deactivated. A platform administrator can bring it back."""


class AlreadyActive(Conflict):
    """This tenant is active already."""


class AlreadyMember(Conflict):
    """This person is a member of the tenant already."""


class LastOwner(Conflict):
    """A tenant keeps at least one owner. Make somebody else an owner first."""


class OwnersOnly(Forbidden):
    """Only an owner may make, change or remove an owner."""


def create_tenant(name: str) -> Tenant:
    """Open a tenant of one's own; the person becomes its owner and reaches it by switching to it."""
    person = auth.find_person(str(current.user_id))
    with db.every_tenant():  # the new tenant is not yet the one of this person's token
        tenant = Tenant(tenant_id=clock.new_id(), name=name, settings={})
        db.session.add(tenant)
        db.session.flush()
        db.session.add(_membership(tenant.tenant_id, person, roles.OWNER))
        db.session.flush()
    return tenant


def provision(tenant_id: UUID, *, user_id: UUID, tenant_name: str, name: str, email: str) -> Any:
    """Make sure that a tenant exists and the person belongs to it. Repeating it changes nothing.

    The first to come is its owner, later ones are members. Raises TenantInactive.
    """
    with db.every_tenant():  # auth speaks for a person who has no token yet
        moment = clock.now()
        stamps = {"created_at": moment, "updated_at": moment, "version": 1}
        made = insert(Tenant).values(tenant_id=tenant_id, name=tenant_name, is_active=True, settings={}, **stamps)
        is_new = db.session.execute(made.on_conflict_do_nothing().returning(Tenant.tenant_id)).first()
        role = roles.OWNER if is_new else roles.MEMBER
        joined = insert(Membership).values(
            tenant_id=tenant_id, user_id=user_id, role=role, name=name, email=email, **stamps
        )
        db.session.execute(joined.on_conflict_do_nothing())
        membership = _of(tenant_id, user_id)
        if not membership.tenant_is_active:
            raise TenantInactive
    return membership


def memberships_of(user_id: UUID) -> list[Any]:
    """A person's memberships in active tenants, the oldest first."""
    db.act_for(user_id)
    with db.every_tenant():  # a person belongs to several tenants
        query = _memberships().where(Membership.user_id == user_id, Tenant.is_active)
        return list(db.session.execute(query.order_by(Membership.created_at, Membership.tenant_id)))


def list_tenants(**page: Any) -> Page:
    """All tenants for a platform administrator, their own for others."""
    with db.every_tenant():  # either all of them, or narrowed to memberships right below
        query = select(Tenant)
        if not current.may(ADMINISTER):
            mine = select(Membership.tenant_id).where(Membership.user_id == current.user_id)
            query = query.where(Tenant.is_active, Tenant.tenant_id.in_(mine))
        return paginate(db, query, TENANT_ORDER, **page)


def get_tenant(tenant_id: UUID) -> Tenant:
    """One's present tenant, or any for a platform administrator. Raises NoSuchTenant."""
    if current.may(ADMINISTER):
        with db.every_tenant():  # administers the platform
            return db.find(Tenant, tenant_id, NoSuchTenant)
    return db.find(Tenant, tenant_id, NoSuchTenant)


def update_tenant(tenant_id: UUID, **changes: Any) -> Tenant:
    """Rename one's tenant. Raises NoSuchTenant, TenantInactive."""
    tenant = _lock(tenant_id)
    for name, value in changes.items():
        setattr(tenant, name, value)
    db.session.flush()
    return tenant


def deactivate_tenant(tenant_id: UUID) -> None:
    """Close one's tenant: nobody gets in any more, and nothing is lost. Raises NoSuchTenant, TenantInactive."""
    tenant = _lock(tenant_id)
    tenant.is_active = False
    revoke(db, Revocation, "tenant", tenant_id)


def activate_tenant(tenant_id: UUID) -> Tenant:
    """Open a closed tenant again. Raises NoSuchTenant, AlreadyActive."""
    with db.every_tenant():  # administers the platform
        tenant = db.lock(Tenant, tenant_id, NoSuchTenant)
        if tenant.is_active:
            raise AlreadyActive
        tenant.is_active = True
        db.session.flush()
    return tenant


def get_settings(tenant_id: UUID) -> SimpleNamespace:
    """Every setting of one's tenant: its own value, or the default; and the tenant's version."""
    return _settings(get_tenant(tenant_id))


def update_settings(tenant_id: UUID, **changes: Any) -> SimpleNamespace:
    """Change the given settings; None puts one back to its default."""
    tenant = _lock(tenant_id)
    kept = tenant.settings | changes
    tenant.settings = {name: value for name, value in kept.items() if value is not None}
    db.session.flush()
    return _settings(tenant)


def _settings(tenant: Tenant) -> SimpleNamespace:
    return SimpleNamespace(**DEFAULTS | tenant.settings, version=tenant.version)


def list_members(tenant_id: UUID, **page: Any) -> Page:
    """The members of one's tenant. Raises NoSuchTenant."""
    tenant = db.find(Tenant, tenant_id, NoSuchTenant)
    query = select(Membership).where(Membership.tenant_id == tenant.tenant_id)
    return paginate(db, query, MEMBER_ORDER, **page)


def add_member(tenant_id: UUID, *, identifier: str, role: str) -> Membership:
    """Let a registered person in. Raises NoSuchTenant, AlreadyMember, OwnersOnly, and auth's `no_such_user`."""
    person = auth.find_person(identifier)
    _lock_members(tenant_id)
    _check_grant(role)
    if db.session.scalar(_member(tenant_id, person.id)):
        raise AlreadyMember
    membership = _membership(tenant_id, person, role)
    db.session.add(membership)
    db.session.flush()
    return membership


def change_role(tenant_id: UUID, user_id: UUID, *, role: str | None = None) -> Membership:
    """Give a member another role; it holds from the next token on, and the old one stops at once."""
    membership = _member_to_change(tenant_id, user_id)
    if role is None:  # a PUT may hold nothing, as everywhere
        return membership
    _check_grant(role)
    if membership.role == roles.OWNER and role != roles.OWNER:
        _keep_an_owner(tenant_id)
    membership.role = role
    revoke(db, Revocation, "membership", f"{user_id}:{tenant_id}")
    return membership


def remove_member(tenant_id: UUID, user_id: UUID) -> None:
    """Take a person out of the tenant. Raises NoSuchMember, LastOwner, OwnersOnly."""
    membership = _member_to_change(tenant_id, user_id)
    if membership.role == roles.OWNER:
        _keep_an_owner(tenant_id)
    db.session.delete(membership)
    revoke(db, Revocation, "membership", f"{user_id}:{tenant_id}")


def leave(tenant_id: UUID) -> None:
    """Leave one's present tenant; its last owner cannot. Raises NoSuchTenant, LastOwner."""
    if current.user_id is not None:
        remove_member(tenant_id, current.user_id)


def _lock(tenant_id: UUID) -> Tenant:
    return _own(db.lock(Tenant, tenant_id, NoSuchTenant))


def _lock_members(tenant_id: UUID) -> None:
    # All changes of members wait here for each other, which is what makes counting owners safe. Not `db.lock`: what
    # the client says it last saw is a member, not the tenant.
    query = select(Tenant).where(Tenant.tenant_id == tenant_id).with_for_update()
    _own(db.session.scalar(query.execution_options(populate_existing=True)))


def _own(tenant: Tenant | None) -> Tenant:
    # One's own tenant, even for a platform administrator: changing one is its members' affair.
    if tenant is None or tenant.tenant_id != current.tenant_id:
        raise NoSuchTenant
    if not tenant.is_active:
        raise TenantInactive
    return tenant


def _member(tenant_id: UUID, user_id: UUID) -> Any:
    return select(Membership).where(Membership.tenant_id == tenant_id, Membership.user_id == user_id)


def _member_to_change(tenant_id: UUID, user_id: UUID) -> Membership:
    _lock_members(tenant_id)
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


def _membership(tenant_id: UUID, person: auth.Person, role: str) -> Membership:
    return Membership(tenant_id=tenant_id, user_id=person.id, role=role, name=person.name, email=person.email)


def _memberships() -> Any:
    columns = (
        Membership.tenant_id,
        Membership.role,
        Tenant.name.label("tenant_name"),
        Tenant.is_active.label("tenant_is_active"),
    )
    return select(*columns).join(Tenant, Tenant.tenant_id == Membership.tenant_id)


def _of(tenant_id: UUID, user_id: UUID) -> Any:
    query = _memberships().where(Membership.tenant_id == tenant_id, Membership.user_id == user_id)
    return db.session.execute(query).one()
