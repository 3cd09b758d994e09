"""What the tests of product share."""

import itertools
from typing import Any

from tests.api import Person

PATH = "/api/products/"
CATEGORIES = "/api/products/categories"
CATALOGUE = "/api/products/catalogue"
MISSING = "0197a3c0-0000-7000-8000-000000000001"
COUNT = itertools.count()

# GTINs whose check digits match; the second and third are one number, written twice.
GTIN = "7891000315507"
GTIN_12, GTIN_14 = "036000291452", "00036000291452"
FULL: dict[str, Any] = {
    "kind": "good",
    "name": "Café torrado em grãos",
    "description": "First line\nsecond line",
    "sku": "CAF-001/kg",
    "gtin": GTIN,
    "unit": "kg",
    "price": "34.12",
    "price_amount": 3412,
    "currency": "BRL",
    "tags": ["coffee", "organic"],
    "attributes": {"roast": {"level": 3}, "fair": True},
    "external_id": "ERP-17",
    "ncm": "09012100",
    "cest": "1709600",
    "origin": 0,
    "cfop": "5102",
    "tax_class": "reduced",
    "tax_rate_bps": 1800,
}


def created(person: Person, **fields: Any) -> dict[str, Any]:
    """A new product of a person's tenant."""
    product: dict[str, Any] = person.post(PATH, {"name": f"Product {next(COUNT)}", **fields}).ok(201)["product"]
    return product


def bundle(person: Person, *parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A new bundle of one each of these."""
    return created(person, kind="bundle", components=[{"product_id": part["id"]} for part in parts], **fields)


def category(person: Person, parent: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A new category, at the root or below another."""
    body = {"name": f"Category {next(COUNT)}", "parent_id": parent and parent["id"], **fields}
    made: dict[str, Any] = person.post(CATEGORIES, body).ok(201)["category"]
    return made


def at(record: dict[str, Any]) -> str:
    return PATH + str(record["id"])


def place(record: dict[str, Any]) -> str:
    return f"{CATEGORIES}/{record['id']}"


def listed(person: Any, query: str = "", **options: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = person.get(f"{PATH}?per_page=100&{query}", **options).ok()["products"]
    return rows


def found(person: Any, query: str, **options: Any) -> list[str]:
    return sorted(row["name"] for row in listed(person, query, **options))
