"""Tenants and their settings, and the memberships that come with opening one."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from contracts import auth, roles
from kit import clock
from kit.errors import Conflict, NotFound, Unauthenticated
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
ADMINISTER = "platform:administer"


class NoSuchTenant(NotFound):
    """This tenant does not exist."""


class TenantInactive(Conflict):
    """This tenant is deactivated. A platform administrator can bring it back."""


class AlreadyActive(Conflict):
    """This tenant is active already."""


def create_tenant(name: str) -> Tenant:
    """Open a tenant of one's own; the person becomes its owner and reaches it by switching to it."""
    person = myself()
    with db.every_tenant():  # the new tenant is not yet the one of this person's token
        tenant = Tenant(tenant_id=clock.new_id(), name=name, settings={})
        db.session.add(tenant)
        db.session.flush()
        db.session.add(membership(tenant.tenant_id, person, roles.OWNER))
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
        place = place_of(tenant_id, user_id)
        if not place.tenant_is_active:
            raise TenantInactive
    return place


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


def _lock(tenant_id: UUID) -> Tenant:
    return own(db.lock(Tenant, tenant_id, NoSuchTenant))


def own(tenant: Tenant | None) -> Tenant:
    """Return a tenant that is one's own and active. Raises NoSuchTenant, TenantInactive."""
    # Also for a platform administrator: changing a tenant is its members' affair.
    if tenant is None or tenant.tenant_id != current.tenant_id:
        raise NoSuchTenant
    if not tenant.is_active:
        raise TenantInactive
    return tenant


def myself() -> auth.Person:
    """Ask auth for the person who is logged in. Call it before the first write."""
    if current.user_id is None:
        raise Unauthenticated
    return auth.person_of(current.user_id)


def membership(tenant_id: UUID, person: auth.Person, role: str) -> Membership:
    """Make a membership, with copies of the person's name and address for lists."""
    return Membership(tenant_id=tenant_id, user_id=person.id, role=role, name=person.name, email=person.email)


def _memberships() -> Any:
    columns = (
        Membership.tenant_id,
        Membership.role,
        Tenant.name.label("tenant_name"),
        Tenant.is_active.label("tenant_is_active"),
    )
    return select(*columns).join(Tenant, Tenant.tenant_id == Membership.tenant_id)


def place_of(tenant_id: UUID, user_id: UUID) -> Any:
    """Return a person's membership in a tenant, with the name of the tenant."""
    query = _memberships().where(Membership.tenant_id == tenant_id, Membership.user_id == user_id)
    return db.session.execute(query).one()
