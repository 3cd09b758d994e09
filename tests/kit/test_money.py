"""Minor units and decimals are the same money."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from kit.money import EXPONENTS, MAX_AMOUNT, Amount, CurrencyCode, to_decimal


@pytest.mark.parametrize(
    ("amount", "currency", "decimal"),
    [(3412, "BRL", "34.12"), (5, "JPY", "5"), (1500, "KWD", "1.500"), (0, "BRL", "0.00"), (-1, "BRL", "-0.01")],
)
def test_minor_units_are_written_by_their_currency(amount: int, currency: str, decimal: str) -> None:
    assert to_decimal(amount, currency) == decimal


@given(st.integers(-MAX_AMOUNT, MAX_AMOUNT), st.sampled_from(sorted(EXPONENTS)))
def test_a_decimal_is_the_same_money(amount: int, currency: str) -> None:
    assert Decimal(to_decimal(amount, currency)) * 10 ** EXPONENTS[currency] == amount


@pytest.mark.parametrize("value", ["3412", 34.12, True, None, -1, MAX_AMOUNT + 1, [], {}])
def test_an_amount_is_a_whole_number_of_minor_units(value: object) -> None:
    with pytest.raises(ValidationError):
        Amount().deserialize(value)
    assert Amount().deserialize(3412) == 3412


@pytest.mark.parametrize("code", ["brl", "XXX", "XAU", "ABC", "", "BRLX"])
def test_a_currency_has_a_code_and_a_minor_unit(code: str) -> None:
    with pytest.raises(ValidationError):
        CurrencyCode().deserialize(code)
