"""The verbs of product. Plain functions: no HTTP, no JSON, no commit."""

from services.product.domain.catalogue import enter, get_catalogue, rotate_key, update_catalogue
from services.product.domain.categories import (
    create_category,
    get_category,
    list_categories,
    remove_category,
    update_category,
)
from services.product.domain.products import (
    activate_product,
    create_product,
    deactivate_product,
    get_product,
    list_prices,
    list_products,
    remove_product,
    update_product,
)

__all__ = [
    "activate_product",
    "create_category",
    "create_product",
    "deactivate_product",
    "enter",
    "get_catalogue",
    "get_category",
    "get_product",
    "list_categories",
    "list_prices",
    "list_products",
    "remove_category",
    "remove_product",
    "rotate_key",
    "update_catalogue",
    "update_category",
    "update_product",
]
