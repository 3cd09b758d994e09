"""Bundles: products that are sold together."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

from kit import clock
from kit.errors import Conflict, ValidationError
from services.product.models import BUNDLE, Component, Product, db


class ProductInBundle(Conflict):
    """This product is a part of a bundle. Take it out of the bundle first."""


def set_components(product: Product, components: list[dict[str, Any]] | None) -> None:
    """Make these, as {product_id, quantity}, the parts of a product; None leaves them. Raises ValidationError."""
    if product.kind != BUNDLE:
        if components:
            raise _wrong("Only a bundle has components.")
        return
    if components is None and product.parts:
        return
    if not components:
        raise _wrong("A bundle has at least one component.")
    wanted = [(part["product_id"], part["quantity"]) for part in components]
    present = [(part.product_id, part.quantity) for part in product.parts]
    if wanted == present:
        return
    if len({id for id, _ in wanted}) < len(wanted):
        raise _wrong("Name each product once, with its quantity.")
    # What is in the bundle already may stay, even if it was deactivated since.
    _check({id for id, _ in wanted} - {id for id, _ in present})
    product.parts = [
        Component(product_id=id, quantity=quantity, position=position) for position, (id, quantity) in enumerate(wanted)
    ]
    product.updated_at = clock.now()  # the parts are other rows, and the version has to tell all the same


def check_free(product: Product) -> None:
    """Raises ProductInBundle when a locked product is a part of something."""
    if db.session.scalar(select(Component.bundle_id).where(Component.product_id == product.id).limit(1)):
        raise ProductInBundle


def _check(ids: set[UUID]) -> None:
    # Whoever deactivates or removes one of these waits until the bundle stands, or has done so already.
    query = select(Product.id, Product.kind, Product.is_active).where(Product.id.in_(ids)).order_by(Product.id)
    found = {row.id: row for row in db.session.execute(query.with_for_update(read=True, key_share=True))}
    for id in sorted(ids):
        if id not in found or not found[id].is_active:
            raise _wrong(f"There is no active product {id}.")
        if found[id].kind == BUNDLE:
            raise _wrong(f"{id} is a bundle itself.")


def _wrong(message: str) -> ValidationError:
    return ValidationError(errors={"components": [message]})
