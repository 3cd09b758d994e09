"""Minor units and decimals are the same money."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from kit.money import EXPONENTS, MAX_AMOUNT, Amount, CurrencyCode, from_decimal, to_decimal


@given(st.integers(0, MAX_AMOUNT), st.sampled_from(sorted(EXPONENTS)))
def test_a_decimal_is_the_same_money_there_and_back(amount: int, currency: str) -> None:
    assert from_decimal(to_decimal(amount, currency), currency) == amount


@pytest.mark.parametrize(
    ("value", "currency", "amount"),
    [("34.12", "BRL", 3412), (34.12, "BRL", 3412), (0.1, "BRL", 10), (5, "JPY", 5), ("1.5", "KWD", 1500),
     ("34.1200", "BRL", 3412), (1e3, "BRL", 100000), ("0", "BRL", 0)],
)  # fmt: skip
def test_a_decimal_is_read_by_its_currency(value: str | float, currency: str, amount: int) -> None:
    assert from_decimal(value, currency) == amount


@pytest.mark.parametrize(
    ("value", "currency"),
    [("34.125", "BRL"), (0.005, "BRL"), ("1.5", "JPY"), ("-1", "BRL"), ("1,50", "BRL"), ("", "BRL"), ("abc", "BRL"),
     (float("inf"), "BRL"), (-0.01, "BRL"), ("1e3", "BRL"), ("٣", "BRL"), ("9" * 16, "BRL")],
)  # fmt: skip
def test_what_the_currency_cannot_hold_is_refused(value: str | float, currency: str) -> None:
    with pytest.raises(ValidationError):
        from_decimal(value, currency)


@pytest.mark.parametrize("value", ["3412", 34.12, True, None, -1, MAX_AMOUNT + 1, [], {}])
def test_an_amount_is_a_whole_number_of_minor_units(value: object) -> None:
    with pytest.raises(ValidationError):
        Amount().deserialize(value)
    assert Amount().deserialize(3412) == 3412


@pytest.mark.parametrize("code", ["brl", "XXX", "XAU", "ABC", "", "BRLX"])
def test_a_currency_has_a_code_and_a_minor_unit(code: str) -> None:
    with pytest.raises(ValidationError):
        CurrencyCode().deserialize(code)
