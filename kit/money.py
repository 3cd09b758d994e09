"""Money: integer minor units beside an ISO 4217 code; the code says how many digits the minor unit has."""

from decimal import Decimal
from typing import Any

from iso4217 import Currency
from marshmallow import ValidationError, fields, validate

from kit.schema import Line

MAX_AMOUNT = 10**15  # ten trillion with two decimals; exact in every JSON reader, and nine thousand fit a bigint

EXPONENTS: dict[str, int] = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}


class CurrencyCode(Line):
    """A currency that has a minor unit, by its ISO 4217 code: `BRL`."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if text not in EXPONENTS:
            raise ValidationError("Not a currency; use an ISO 4217 code: BRL.")
        return text


class Amount(fields.Integer):
    """An amount in minor units, a whole number from 0 (or `least`) to MAX_AMOUNT: 3412 is R$ 34.12."""

    def __init__(self, *, least: int = 0, **options: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(least, MAX_AMOUNT), **options)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if type(value) is not int:  # "3412" could mean major units, and 34.12 certainly does
            raise ValidationError("Give the amount in minor units, as a whole number: 3412 for 34.12.")
        return super()._deserialize(value, *args, **kwargs)


def to_decimal(amount: int, currency: str) -> str:
    """Minor units as a decimal in major units: 3412 in BRL is "34.12"; negative ones with a minus sign."""
    return f"{Decimal(amount).scaleb(-EXPONENTS[currency]):f}"
