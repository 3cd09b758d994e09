"""The JSON of product."""

import re
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate
from webargs.fields import DelimitedList

from kit.money import MAX_AMOUNT, Amount, CurrencyCode
from kit.schema import Flag, JsonObject, Line, Moment, PageQuery, Prose, Schema, Tags, Whole, naming, short
from services.product import models

MAX_COMPONENTS = 100
MAX_QUANTITY = 1_000_000
MAX_RATE_BPS = 100_000
DECIMAL = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,6})?\Z")


class Price(fields.Field[Any]):
    """A price in major units: the text "34.12", or a JSON number that says exactly as much."""

    documented = {"type": ["string", "number", "null"], "examples": ["34.12"]}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Decimal:
        text = value.strip() if isinstance(value, str) else _plain(value)
        if not DECIMAL.match(text):
            raise ValidationError('Give a price of at least 0 as a decimal: "34.12".')
        return Decimal(text)


def _plain(number: Any) -> str:
    """A JSON number by its shortest decimal form, which is what its writer meant; nothing for anything else."""
    return f"{Decimal(repr(number)):f}" if type(number) in (int, float) else ""


class Gtin(Line):
    """A GTIN-8, -12, -13 or -14 without blanks and dashes, by its check digit (GS1 General Specifications, 7.9)."""

    documented = {"examples": ["7891000315507"]}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        digits = re.sub(r"[\s-]", "", super()._deserialize(value, *args, **kwargs))
        if not re.fullmatch(r"[0-9]{8}|[0-9]{12,14}", digits) or not digits.strip("0"):
            raise ValidationError("A GTIN has 8, 12, 13 or 14 digits.")
        # From the right, the check digit counted in, weights are 1, 3, 1, 3, …; the sum is a multiple of ten.
        if sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits))) % 10:
            raise ValidationError("Not a GTIN: its check digit does not match.")
        return digits


class Code(Line):
    """A code of the Brazilian tax authorities: digits, which may come with the dots that print them."""

    def __init__(self, pattern: str, shape: str, **options: Any) -> None:
        self.shape, self.code = shape, re.compile(pattern)
        super().__init__(allow_none=True, **options)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        digits = re.sub(r"[\s.]", "", super()._deserialize(value, *args, **kwargs))
        if not self.code.fullmatch(digits):
            raise ValidationError(self.shape)
        return digits


def whole(least: int, most: int, **options: Any) -> fields.Integer:
    """A JSON whole number within bounds; a text is none."""
    return fields.Integer(strict=True, validate=validate.Range(least, most), **options)


class Component(Schema):
    """So many of another product in a bundle."""

    class Meta(Schema.Meta):
        model = models.Component

    product_id = fields.UUID(required=True)
    quantity = whole(1, MAX_QUANTITY, load_default=1)

    example = {"quantity": 6}


class Product(Schema):
    """Something that a tenant sells. `price` is in major units, `price_amount` in minor ones; either may be sent."""

    class Meta(Schema.Meta):
        model = models.Product

    id = fields.UUID(dump_only=True)
    kind = Line(validate=validate.OneOf(models.KINDS))
    name = Line(required=True, validate=validate.Length(1, 200))
    description = Prose(allow_none=True, validate=validate.Length(max=10_000))
    sku = short(64)
    gtin = Gtin(allow_none=True)
    unit = Line(validate=validate.Length(1, 10))
    price = Price(allow_none=True)
    price_amount = Amount(allow_none=True)
    currency = CurrencyCode()
    category_id = fields.UUID(allow_none=True)
    tags = Tags()
    attributes = JsonObject()
    components = fields.List(Whole(Component), validate=validate.Length(max=MAX_COMPONENTS))
    billing_period = Line(allow_none=True, validate=validate.OneOf(models.PERIODS))
    billing_count = whole(1, 366, allow_none=True)
    external_id = short(100)
    ncm = Code("[0-9]{8}", "An NCM code has eight digits: 8471.30.12.")
    ncm_formatted = fields.String(dump_only=True, allow_none=True)
    cest = Code("[0-9]{7}", "A CEST code has seven digits: 28.038.00.")
    origin = whole(0, 8, allow_none=True)  # origem da mercadoria: Convênio s/nº of 1970, annex, table A
    cfop = Code("[1-35-7][0-9]{3}", "A CFOP code has four digits, the first of them 1, 2, 3, 5, 6 or 7: 5102.")
    tax_class = short(40)
    tax_rate_bps = whole(0, MAX_RATE_BPS, allow_none=True)
    is_active = fields.Boolean(dump_only=True)
    deactivated_at = Moment(dump_only=True)
    created_at = Moment(dump_only=True)
    updated_at = Moment(dump_only=True)
    version = fields.Integer(dump_only=True)

    example = {
        "kind": "good",
        "name": "Pão de queijo congelado, 1 kg",
        "description": "Assar a 180 °C por 25 minutos.",
        "sku": "PQ-1000",
        "gtin": "7891000315507",
        "unit": "un",
        "price": "34.12",
        "price_amount": 3412,
        "currency": "BRL",
        "tags": ["congelado"],
        "attributes": {"validade_dias": 180},
        "components": [],
        "ncm": "19059090",
        "ncm_formatted": "1905.90.90",
        "origin": 0,
        "cfop": "5102",
        "tax_class": "st",
        "tax_rate_bps": 1800,
    }


class Filters(PageQuery):
    """What the list of products can be narrowed by."""

    active_only = fields.Boolean(load_default=True)
    search = Line(validate=validate.Length(max=200))
    sku = Line()
    gtin = Gtin()
    external_id = Line()
    created_from = Moment()
    created_to = Moment()
    updated_since = Moment()
    kind = Line(data_key="filter[kind]", validate=validate.OneOf(models.KINDS))
    category_id = fields.UUID(data_key="filter[category_id]")
    tags = DelimitedList(Line(), data_key="filter[tags][in]")
    currency = CurrencyCode(data_key="filter[currency]")
    price_from = fields.Integer(data_key="filter[price_amount][gte]", validate=validate.Range(0, MAX_AMOUNT))
    price_to = fields.Integer(data_key="filter[price_amount][lte]", validate=validate.Range(0, MAX_AMOUNT))


class PastPrice(Schema):
    """What a product has cost since a moment; without an amount it had no price from then on."""

    singular = "price"

    price = fields.String(allow_none=True)
    price_amount = fields.Integer(allow_none=True)
    currency = fields.String()
    since = Moment(attribute="created_at", data_key="from")
    by = fields.UUID(attribute="created_by", allow_none=True, metadata=naming("user"))

    example = {"price": "32.90", "price_amount": 3290, "currency": "BRL"}


class Category(Schema):
    """A place in the tree of products. `path` holds the names from the root down to it."""

    plural = "categories"

    class Meta(Schema.Meta):
        model = models.Category

    id = fields.UUID(dump_only=True)
    name = Line(required=True, validate=validate.Length(1, 200))
    parent_id = fields.UUID(allow_none=True)
    path = fields.List(fields.String(), dump_only=True)
    created_at = Moment(dump_only=True)
    updated_at = Moment(dump_only=True)
    version = fields.Integer(dump_only=True)

    example = {"name": "Congelados", "path": ["Pães", "Congelados"]}


class CategoryFilters(PageQuery):
    """What the list of categories can be narrowed by."""

    parent_id = fields.UUID(data_key="filter[parent_id]")


class Catalogue(Schema):
    """Whether visitors may see the active products, and the key by which they name the tenant."""

    class Meta(Schema.Meta):
        model = models.Catalogue

    is_public = Flag(required=True)
    publishable_key = fields.String(dump_only=True, allow_none=True)

    example = {"is_public": True, "publishable_key": "pk_0197a3c07f107c3e9d553f6f2f6a1b2d"}
