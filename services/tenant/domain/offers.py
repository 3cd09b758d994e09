"""Offers: memberships that a person has not accepted yet.

An offer is addressed to an identifier, not to a person. Making one asks no sibling, so that it cannot depend on whether
the identifier belongs to anybody; a person finds it by comparing its own identifiers. The reasons stand in
docs/decisions/0018-membership-by-consent.md.
"""

import re
import unicodedata
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from contracts import auth, roles
from kit import clock, preconditions
from kit.config import setting
from kit.errors import Conflict, Forbidden, NotFound, TooManyRequests
from kit.identity import current
from kit.pages import Page, paginate
from services.tenant.domain.members import lock_members, lock_tenant
from services.tenant.domain.refusals import refuse_until
from services.tenant.domain.tenants import NoSuchTenant, membership, myself, place_of
from services.tenant.models import Membership, Offer, Refusal, Tenant, db

MEMBERSHIP_OFFERS_PER_DAY = setting(
    "MEMBERSHIP_OFFERS_PER_DAY",
    30,
    "Unanswered memberships that a tenant may offer within 24 hours, and a person in all their tenants; 0 is no limit.",
)

LIFETIME = timedelta(days=30)
REFUSED = timedelta(days=30)
DAY = timedelta(days=1)
# With a scheme, with www, with a common ending (which no abbreviation is), with a path, or of numbers. `S.A.`,
# `Souza Ltda./ME` and `Dr.Silva` are none.
WEB_ADDRESS = re.compile(
    r"://|\bwww\.|[\w-]\.(?:com|net|org|info|biz|co|io|ly|gg|app|dev|xyz|site|online|shop|store|top|click|link|live|club)\b"
    r"|[\w-]{2}\.[^\W\d_]{2,}[/?#:]|\b\d+\.\d+\.\d+\.\d+\b",
    re.IGNORECASE,
)
UNSEEN = {"Cc", "Cf", "Zl", "Zp"}  # general categories of Unicode: controls, formats, separators of lines
OFFER_ORDER = {"created_at": Offer.created_at, "id": Offer.id}


class NoSuchOffer(NotFound):
    """This offer does not exist, or does not hold any more."""


class AlreadyMember(Conflict):
    """Somebody with this address is a member of the tenant already."""


class NotManager(Forbidden):
    """You do not manage this tenant any more."""


class UnfitName(Conflict):
    """Strangers read your name and the tenant's: a web address or an invisible character may be in neither."""


class TooManyOffers(TooManyRequests):
    """Too many memberships were offered today. Wait as long as Retry-After says."""


def offer_membership(tenant_id: UUID, *, identifier: str, addressee: str, role: str) -> Offer:
    """Offer a membership to whoever goes by an identifier, registered or not. Asked again, the offer is renewed.

    Raises NoSuchTenant, NotManager, UnfitName, TooManyOffers, AlreadyMember (by an address in the list of members).
    """
    names = _names_at(lock_members(tenant_id))
    member = select(Membership.user_id).where(Membership.tenant_id == tenant_id, Membership.email == addressee)
    if db.session.scalar(member):
        raise AlreadyMember
    _check_allowance(tenant_id)
    db.session.execute(delete(Offer).where(Offer.tenant_id == tenant_id, Offer.expires_at < clock.now()))
    moment = clock.now()
    told = {
        "identifier": identifier,
        "role": role,
        "offered_by": current.user_id,
        "created_at": moment,
        "updated_at": moment,
        "expires_at": moment + LIFETIME,
        "withdrawn_at": None,
    } | names
    made = insert(Offer).values(tenant_id=tenant_id, id=clock.new_id(), addressee=addressee, version=1, **told)
    renewed = told | {"version": Offer.version + 1}
    query = made.on_conflict_do_update(index_elements=["tenant_id", "addressee"], set_=renewed).returning(Offer)
    return db.session.scalars(query, execution_options={"populate_existing": True}).one()


def list_offers(tenant_id: UUID, **page: Any) -> Page:
    """List what one's tenant offers and nobody has accepted. Raises NoSuchTenant.

    An offer that was declined stays, and looks like one that nobody can see: a difference would tell who is there.
    """
    tenant = db.find(Tenant, tenant_id, NoSuchTenant)
    return paginate(db, select(Offer).where(Offer.tenant_id == tenant.tenant_id, *_pending()), OFFER_ORDER, **page)


def withdraw_offer(tenant_id: UUID, offer_id: UUID) -> None:
    """Take an offer back. Raises NoSuchTenant, NotManager, NoSuchOffer."""
    _name_of_manager(lock_members(tenant_id))
    query = select(Offer).where(Offer.tenant_id == tenant_id, Offer.id == offer_id, *_pending())
    offer = db.session.scalar(query)
    if offer is None:
        raise NoSuchOffer
    preconditions.check(offer)
    offer.withdrawn_at = clock.now()  # the row stays: it counts towards the limit of the day
    db.session.flush()


def list_received_offers(**page: Any) -> Page:
    """List the memberships that are offered to oneself, in any tenant."""
    person = myself()
    with db.every_tenant():  # an offer comes from a tenant that one does not belong to
        return paginate(db, _addressed_to(person), OFFER_ORDER, **page)


def accept_offer(offer_id: UUID) -> Any:
    """Become a member of the tenant that offers it, in the role that it offers. Raises NoSuchOffer."""
    person = myself()
    with db.every_tenant():  # this tenant is not yet one of the person's
        offer = _received(person, offer_id)
        lock_tenant(offer.tenant_id)
        offer = _received(person, offer_id)  # once more, now that nothing about it can change
        db.session.add(membership(offer.tenant_id, person, offer.role))
        db.session.execute(delete(Offer).where(Offer.tenant_id == offer.tenant_id, Offer.id == offer_id))
        db.session.flush()
        return place_of(offer.tenant_id, person.id)


def decline_offer(offer_id: UUID) -> None:
    """Say no to a tenant, under every identifier and for 30 days. The tenant is not told. Raises NoSuchOffer."""
    person = myself()
    with db.every_tenant():  # an offer comes from a tenant that one does not belong to
        offer = _received(person, offer_id)
        lock_tenant(offer.tenant_id)
        offer = _received(person, offer_id)
        refuse_until(clock.now() + REFUSED, offer.tenant_id, person.id)


def _pending() -> tuple[ColumnElement[bool], ...]:
    return Offer.withdrawn_at.is_(None), Offer.expires_at > clock.now()


def _received(person: auth.Person, offer_id: UUID) -> Offer:
    query = _addressed_to(person).where(Offer.id == offer_id).execution_options(populate_existing=True)
    offer: Offer | None = db.session.scalar(query)
    if offer is None:
        raise NoSuchOffer
    return offer


def _addressed_to(person: auth.Person) -> Any:
    """Select what a person may answer: addressed to one of its identifiers, and newer than its refusal."""
    mine = select(Membership.tenant_id).where(Membership.user_id == person.id).correlate(None)
    same = (Refusal.tenant_id == Offer.tenant_id, Refusal.user_id == person.id)
    refused = select(Refusal.tenant_id).where(*same, Refusal.until >= Offer.created_at).exists()
    to_me = (Offer.addressee.in_(person.identifiers), Offer.tenant_id.not_in(mine), ~refused)
    return select(Offer).join(Tenant, Tenant.tenant_id == Offer.tenant_id).where(Tenant.is_active, *to_me, *_pending())


def _names_at(tenant: Tenant) -> dict[str, str]:
    """Return the names that the person will read, kept as they are now: a later name has not been checked."""
    names = {"tenant_name": tenant.name, "offered_by_name": _name_of_manager(tenant)}
    for name in names.values():
        if WEB_ADDRESS.search(_dotted(name)) or UNSEEN & {unicodedata.category(character) for character in name}:
            raise UnfitName
    return names


def _dotted(name: str) -> str:
    # A browser takes other full stops for the one of an address too (UTS 46, 2.3).
    return unicodedata.normalize("NFKC", name).replace("\u3002", ".")


def _name_of_manager(tenant: Tenant) -> str:
    # The token may say what was true a moment ago: who was demoted must not come back by an offer of their own.
    columns = select(Membership.name, Membership.role)
    mine = columns.where(Membership.tenant_id == tenant.tenant_id, Membership.user_id == current.user_id)
    row = db.session.execute(mine).first()
    if row is None:
        raise NoSuchTenant
    if not roles.may_manage(row.role):
        raise NotManager
    return str(row.name)


def _check_allowance(tenant_id: UUID) -> None:
    mine = select(Membership.tenant_id).where(Membership.user_id == current.user_id)
    # The tenant's row is locked; this lock makes the same person wait for itself in other tenants.
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"offers {current.user_id}", 0))))
    _check_spent(Offer.tenant_id == tenant_id)
    with db.every_tenant():  # a person's limit holds in all their tenants together
        _check_spent(Offer.tenant_id.in_(mine), Offer.offered_by == current.user_id)


def _check_spent(*whose: ColumnElement[bool]) -> None:
    limit, begin = MEMBERSHIP_OFFERS_PER_DAY(), clock.now() - DAY
    query = select(func.count(), func.min(Offer.created_at)).where(*whose, Offer.created_at > begin)
    spent, oldest = db.session.execute(query).one()
    if limit and spent >= limit:
        raise TooManyOffers(retry_after_s=max(1, int((oldest - begin).total_seconds()) + 1))
