"""Product over HTTP."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from flask import request

from kit.blueprint import Blueprint
from kit.identity import requires
from kit.pages import Page
from kit.schema import PageQuery, Removal
from services.product import domain, schemas
from services.product.models import Catalogue, Category, Product

KEY_HEADER = "X-Publishable-Key"

products = Blueprint("products", __name__, url_prefix="/products", description="The catalogue of a tenant.")


def shows_visitors_in(view: Callable[..., Any]) -> Callable[..., Any]:
    """A view of the public catalogue. Whether a visitor may enter is settled before the query is read."""

    @wraps(view)
    def entered(*args: Any, **kwargs: Any) -> Any:
        domain.enter(request.headers.get(KEY_HEADER))
        return view(*args, **kwargs)

    return entered


@products.post("/")
@requires("product:write")
@products.accepts(schemas.Product)
@products.answers(201, schemas.Product, message="Product created.")
def create_product(data: dict[str, Any]) -> Product:
    """Create a product."""
    return domain.create_product(**data)


@products.get("/")
@requires("product:read", visitors=True)
@shows_visitors_in
@products.filters(schemas.Filters)
@products.answers(200, schemas.Product)
def list_products(filters: dict[str, Any]) -> Page:
    """List products, filtered, searched and sorted. Visitors see active ones of a public catalogue."""
    return domain.list_products(**filters)


@products.get("/<uuid:product_id>")
@requires("product:read", visitors=True)
@shows_visitors_in
@products.answers(200, schemas.Product)
def get_product(product_id: UUID) -> Any:
    """Show a product. Visitors see active ones of a public catalogue."""
    return domain.get_product(product_id)


@products.put("/<uuid:product_id>")
@requires("product:write")
@products.accepts(schemas.Product(partial=True))
@products.answers(200, schemas.Product, message="Product updated.")
def update_product(data: dict[str, Any], product_id: UUID) -> Product:
    """Change a product, in part or whole."""
    return domain.update_product(product_id, **data)


@products.delete("/<uuid:product_id>")
@requires("product:delete")
@products.filters(Removal)
@products.answers(200, message="Product removed.")
def remove_product(how: dict[str, Any], product_id: UUID) -> None:
    """Deactivate a product, or remove it for good with `hard_delete=true`."""
    verb = domain.remove_product if how["hard_delete"] else domain.deactivate_product
    verb(product_id)


@products.patch("/<uuid:product_id>/activate")
@requires("product:write")
@products.answers(200, schemas.Product, message="Product reactivated.")
def activate_product(product_id: UUID) -> Product:
    """Bring a deactivated product back."""
    return domain.activate_product(product_id)


@products.get("/<uuid:product_id>/prices")
@requires("product:read")
@products.filters(PageQuery)
@products.answers(200, schemas.PastPrice)
def list_prices(page: dict[str, Any], product_id: UUID) -> Page:
    """List what a product has cost, the newest first."""
    return domain.list_prices(product_id, **page)


# --- Categories ------------------------------------------------------------------------------------------------------


@products.get("/categories")
@requires("product:read")
@products.filters(schemas.CategoryFilters)
@products.answers(200, schemas.Category)
def list_categories(filters: dict[str, Any]) -> Page:
    """List the categories, each with its path from the root."""
    return domain.list_categories(**filters)


@products.post("/categories")
@requires("product:write")
@products.accepts(schemas.Category)
@products.answers(201, schemas.Category, message="Category created.")
def create_category(data: dict[str, Any]) -> Category:
    """Create a category."""
    return domain.create_category(**data)


@products.get("/categories/<uuid:category_id>")
@requires("product:read")
@products.answers(200, schemas.Category)
def get_category(category_id: UUID) -> Category:
    """Show a category."""
    return domain.get_category(category_id)


@products.put("/categories/<uuid:category_id>")
@requires("product:write")
@products.accepts(schemas.Category(partial=True))
@products.answers(200, schemas.Category, message="Category updated.")
def update_category(data: dict[str, Any], category_id: UUID) -> Category:
    """Rename a category, or move it with all that is below it."""
    return domain.update_category(category_id, **data)


@products.delete("/categories/<uuid:category_id>")
@requires("product:delete")
@products.answers(200, message="Category removed.")
def remove_category(category_id: UUID) -> None:
    """Remove an empty category for good."""
    domain.remove_category(category_id)


# --- The public catalogue --------------------------------------------------------------------------------------------


@products.get("/catalogue")
@requires("product:manage")
@products.answers(200, schemas.Catalogue)
def get_catalogue() -> Catalogue:
    """Show whether the catalogue is public, and its publishable key."""
    return domain.get_catalogue()


@products.put("/catalogue")
@requires("product:manage")
@products.accepts(schemas.Catalogue(partial=True))
@products.answers(200, schemas.Catalogue, message="Catalogue updated.")
def update_catalogue(data: dict[str, Any]) -> Catalogue:
    """Open the catalogue to visitors, or close it."""
    return domain.update_catalogue(**data)


@products.post("/catalogue/rotate-key")
@requires("product:manage")
@products.answers(200, schemas.Catalogue, message="New key made; the old one has stopped.")
def rotate_key() -> Catalogue:
    """Replace the publishable key."""
    return domain.rotate_key()


blueprints = (products,)
