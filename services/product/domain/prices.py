"""Prices: read from what a client sent, and remembered."""

from decimal import Decimal
from typing import Any

from sqlalchemy import select

from kit.errors import ValidationError
from kit.money import EXPONENTS, MAX_AMOUNT
from kit.pages import Page, paginate
from services.product.models import Price, Product, db

ORDER = {"created_at": Price.created_at, "id": Price.id}


def list_prices(product: Product, *, sort: str | None = None, **page: Any) -> Page:
    """What a product has cost, the newest first."""
    query = select(Price).where(Price.product_id == product.id)
    return paginate(db, query, ORDER, sort=sort or "-created_at", **page)


def set_price(product: Product, changes: dict[str, Any]) -> bool:
    """Take `price` (a decimal in major units), `price_amount` (minor units) and `currency` out of the changes and give
    them to the product; whether it costs something else now. Raises ValidationError.
    """
    before = product.price_amount, product.currency
    currency = changes.pop("currency", product.currency)
    readings = []
    if "price" in changes:
        price = changes.pop("price")
        readings.append(None if price is None else minor_units(price, currency))
    if "price_amount" in changes:
        readings.append(changes.pop("price_amount"))
    if len(set(readings)) > 1:
        raise ValidationError(errors={"price_amount": [f"This is not the same as the price in {currency}."]})
    if not readings and currency != product.currency and product.price_amount is not None:
        # 1000 would turn from ten dollars into a thousand yen, which nobody asked for.
        raise ValidationError(errors={"currency": ["Send the price in the new currency along."]})
    product.price_amount, product.currency = readings[0] if readings else product.price_amount, currency
    if product.price_amount is None and before[0] is None:
        return False
    return (product.price_amount, product.currency) != before


def minor_units(price: Decimal, currency: str) -> int:
    """Minor units of a decimal in major units, exactly: 34.12 in BRL is 3412. Raises ValidationError."""
    exponent = EXPONENTS[currency]
    amount = price.scaleb(exponent)
    if amount != amount.to_integral_value():
        raise ValidationError(errors={"price": [f"{currency} has {exponent} decimals."]})
    if amount > MAX_AMOUNT:
        raise ValidationError(errors={"price": ["This is more than a price can be."]})
    return int(amount)


def remember_price(product: Product) -> None:
    """Add what a product costs now to its history."""
    row = Price(product_id=product.id, price_amount=product.price_amount, currency=product.currency)
    db.session.add(row)
    db.session.flush()
