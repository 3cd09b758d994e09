"""Products: how they come, change, go and return."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import selectinload

from kit import lifecycle
from kit.errors import Conflict, NotFound, ValidationError
from kit.pages import Page, paginate
from kit.search import matching
from services.product.domain import bundles, catalogue, categories, prices
from services.product.models import SUBSCRIPTION, Product, ProductWord, db

DEFAULT_CURRENCY = "BRL"
SORTABLE = {
    "created_at": Product.created_at,
    "updated_at": Product.updated_at,
    "name": Product.name,
    "id": Product.id,
}
# A visitor must not learn from the order of a list, or from a filter, what its rows do not say.
SORTABLE_BY_VISITORS = {"name": Product.name, "id": Product.id}
NOT_FOR_VISITORS = ("external_id", "created_from", "created_to", "updated_since")
BILLING = ("billing_period", "billing_count")


class NoSuchProduct(NotFound):
    """This product does not exist."""


class ProductInactive(Conflict):
    """This product is deactivated. Reactivate it before changing it."""


def create_product(*, kind: str = "good", currency: str = DEFAULT_CURRENCY, **fields: Any) -> Product:
    """Keep a new product. Raises ValidationError; a value that an active one has already is refused by the database."""
    product = Product(kind=kind, currency=currency)
    if kind == SUBSCRIPTION:
        product.billing_period, product.billing_count = "month", 1
    _change(product, fields)
    return product


def get_product(product_id: UUID) -> Any:
    """One product, active or not; for visitors an active one, and what is public of it. Raises NoSuchProduct."""
    product = db.find(Product, product_id, NoSuchProduct)
    if catalogue.is_visitor() and not product.is_active:
        raise NoSuchProduct
    return catalogue.shown(product)


def list_products(
    *,
    page: int = 1,
    per_page: int = 20,
    cursor: str | None = None,
    sort: str | None = None,
    **selection: Any,
) -> Page:
    """A page of the products that `select_products` selects. Raises ValidationError."""
    sortable = SORTABLE
    if catalogue.is_visitor():
        if hidden := [name for name in NOT_FOR_VISITORS if name in selection]:
            raise ValidationError(errors={name: ["Log in to filter by this."] for name in hidden})
        selection["active_only"], sortable = True, SORTABLE_BY_VISITORS
    query = select_products(**selection).options(selectinload(Product.parts))
    found = paginate(db, query, sortable, page=page, per_page=per_page, cursor=cursor, sort=sort)
    return catalogue.shown_page(found)


def select_products(
    *,
    active_only: bool = True,
    search: str | None = None,
    gtin: str | None = None,
    tags: list[str] | None = None,
    category_id: UUID | None = None,
    price_from: int | None = None,
    price_to: int | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    updated_since: datetime | None = None,
    **equal: Any,
) -> Select[Any]:
    """Which products: `equal` holds columns that must have exactly a value; of `tags` any one; a category with those
    below it. Prices are minor units, both bounds included.
    """
    conditions: list[Any] = []
    if active_only:
        conditions.append(Product.is_active)
    if gtin:
        conditions.append(Product.gtin14 == gtin.zfill(14))
    if tags:
        conditions.append(or_(*(Product.tags.contains([tag]) for tag in tags)))
    if category_id:
        conditions.append(Product.category_id.in_(categories.below(category_id)))
    if price_from is not None:
        conditions.append(Product.price_amount >= price_from)
    if price_to is not None:
        conditions.append(Product.price_amount <= price_to)
    if created_from:
        conditions.append(Product.created_at >= created_from)
    if created_to:
        conditions.append(Product.created_at < created_to)
    if updated_since:
        conditions.append(Product.updated_at >= updated_since)
    return matching(select(Product).filter_by(**equal).where(*conditions), Product, ProductWord, search)


def update_product(product_id: UUID, **changes: Any) -> Product:
    """Change the given fields and leave the rest.

    Raises NoSuchProduct, ProductInactive, PreconditionFailed, ValidationError.
    """
    product = db.lock(Product, product_id, NoSuchProduct)
    if not product.is_active:
        raise ProductInactive
    if changes.pop("kind", product.kind) != product.kind:
        raise ValidationError(errors={"kind": ["The kind of a product cannot change. Make a new product instead."]})
    _change(product, changes)
    return product


def deactivate_product(product_id: UUID) -> None:
    """Take a product out of use; it can come back. Raises NoSuchProduct, AlreadyInactive."""
    lifecycle.deactivate(db.lock(Product, product_id, NoSuchProduct))
    db.session.flush()


def activate_product(product_id: UUID) -> Product:
    """Bring a product back, unless its SKU or number was taken meanwhile. Raises NoSuchProduct, AlreadyActive."""
    product = db.lock(Product, product_id, NoSuchProduct)
    lifecycle.activate(product)
    db.session.flush()
    return product


def remove_product(product_id: UUID) -> None:
    """Remove a product for good, active or not, with its prices. Raises NoSuchProduct, ProductInBundle."""
    product = db.lock(Product, product_id, NoSuchProduct)
    bundles.check_free(product)
    db.session.delete(product)
    db.session.flush()


def list_prices(product_id: UUID, **page: Any) -> Page:
    """What a product has cost, the newest first. Raises NoSuchProduct."""
    return prices.list_prices(db.find(Product, product_id, NoSuchProduct), **page)


def _change(product: Product, fields: dict[str, Any]) -> None:
    is_repriced = prices.set_price(product, fields)
    bundles.set_components(product, fields.pop("components", None))
    _check_billing(product, fields)
    if fields.get("category_id") != product.category_id:
        categories.check_category(fields.get("category_id"))
    for name, value in fields.items():
        setattr(product, name, value)
    db.session.add(product)
    db.session.flush()
    if is_repriced:
        prices.remember_price(product)


def _check_billing(product: Product, fields: dict[str, Any]) -> None:
    sent = {name: fields[name] for name in BILLING if name in fields}
    if product.kind == SUBSCRIPTION:
        wrong, message = [name for name, value in sent.items() if value is None], "A subscription needs this."
    else:
        wrong, message = [name for name, value in sent.items() if value is not None], "Only a subscription has this."
    if wrong:
        raise ValidationError(errors={name: [message] for name in wrong})
