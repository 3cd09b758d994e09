"""The public catalogue: which tenant a visitor looks at, and what a visitor sees."""

import re
import secrets
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from kit import clock
from kit.config import setting
from kit.errors import NotFound, Unauthenticated
from kit.identity import current
from kit.pages import Page
from services.product.models import Catalogue, Product, PublishableKey, db

KEY = re.compile(r"pk_[A-Za-z0-9_-]{32}\Z")
KEY_BYTES = 24

# What the world may know of a product. A member that is not here does not exist for visitors: neither in an answer nor,
# through `version`, in an entity tag.
PUBLIC = (
    *("id", "kind", "name", "description", "sku", "gtin", "unit", "price", "price_amount", "currency"),
    *("category_id", "tags", "attributes", "components", "billing_period", "billing_count"),
)


def _tenant(text: str) -> str:
    return str(UUID(text))


PUBLIC_CATALOGUE_TENANT = setting(
    "PUBLIC_CATALOGUE_TENANT", "", "Id of the tenant whose catalogue visitors without a publishable key see.", _tenant
)


class UnknownPublishableKey(Unauthenticated):
    """Nobody uses this X-Publishable-Key any more. Copy the present one from the settings of the catalogue."""


class NoSuchCatalogue(NotFound):
    """This tenant has no catalogue."""


def is_visitor() -> bool:
    """Whether nobody in particular is asking."""
    return current.user_id is None


def enter(key: str | None) -> None:
    """Show a visitor into the catalogue that `key`, or else PUBLIC_CATALOGUE_TENANT, names; people have their own.

    Raises UnknownPublishableKey; and Unauthenticated where no catalogue is named, or it is not public.
    """
    if not is_visitor():
        return
    tenant_id = _tenant_of(key) if key else PUBLIC_CATALOGUE_TENANT.of("product")
    if not tenant_id:
        raise Unauthenticated
    db.act_in(UUID(str(tenant_id)))
    if not db.session.scalar(select(Catalogue.is_public)):
        raise Unauthenticated


def shown(product: Product) -> Any:
    """A product as whoever is asking may see it."""
    if not is_visitor():
        return product
    return SimpleNamespace(**{name: getattr(product, name) for name in PUBLIC})


def shown_page(page: Page) -> Page:
    """A page of products as whoever is asking may see them."""
    return replace(page, items=[shown(product) for product in page.items])


def get_catalogue() -> Catalogue:
    """Whether one's catalogue is public, and its key once there is one."""
    return db.session.scalar(select(Catalogue)) or Catalogue(is_public=False)


def update_catalogue(*, is_public: bool | None = None) -> Catalogue:
    """Open the catalogue to visitors, or close it; None leaves it. The first time makes the key."""
    catalogue = _lock()
    if is_public is not None:
        catalogue.is_public = is_public
    db.session.flush()
    return catalogue


def rotate_key() -> Catalogue:
    """Give the catalogue a new key; the old one stops."""
    catalogue = _lock()
    if catalogue.key:
        catalogue.key.key = _new_key()
    catalogue.updated_at = clock.now()  # the key stands in another row, and the version has to tell all the same
    db.session.flush()
    return catalogue


def _tenant_of(key: str) -> UUID:
    tenant_id = db.session.scalar(select(PublishableKey.tenant_id).filter_by(key=key)) if KEY.match(key) else None
    if tenant_id is None:
        raise UnknownPublishableKey
    return tenant_id


def _lock() -> Catalogue:
    # Two first writers at once make one row, and both then wait for it here.
    now = clock.now()
    first = insert(Catalogue).values(is_public=False, version=1, created_at=now, updated_at=now)
    db.session.execute(first.on_conflict_do_nothing())
    tenant_id: Any = current.tenant_id
    catalogue = db.lock(Catalogue, tenant_id, NoSuchCatalogue)
    if catalogue.key is None:
        catalogue.key = PublishableKey(key=_new_key())
    return catalogue


def _new_key() -> str:
    return "pk_" + secrets.token_urlsafe(KEY_BYTES)
