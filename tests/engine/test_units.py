import decimal
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.units import (
    MAX_SHARES,
    NS_PER_S,
    PRICE_SCALE,
    PRICE_TABLE,
    SIZE_SCALE,
    notional_usd,
    price_text,
    price_ticks,
    price_usd,
    shares,
    size_text,
    size_units,
    to_ns,
    to_seconds,
)

ticks_of_prices = st.integers(0, PRICE_SCALE)
units_of_sizes = st.integers(0, MAX_SHARES * SIZE_SCALE)


@given(ticks_of_prices)
def test_price_text_and_ticks_are_inverse(ticks: int) -> None:
    assert price_ticks(price_text(ticks)) == ticks


@given(units_of_sizes)
def test_size_text_and_units_are_inverse(units: int) -> None:
    assert size_units(size_text(units)) == units


def test_table_holds_every_price_in_every_usual_spelling() -> None:
    assert set(PRICE_TABLE.values()) == set(range(PRICE_SCALE + 1))
    assert {text for text, ticks in PRICE_TABLE.items() if ticks == 5000} == {"0.5", "0.50", "0.500", "0.5000"}
    assert {text for text, ticks in PRICE_TABLE.items() if ticks == 0} == {"0", "0.0", "0.00", "0.000", "0.0000"}
    assert {text for text, ticks in PRICE_TABLE.items() if ticks == PRICE_SCALE} == {
        "1",
        "1.0",
        "1.00",
        "1.000",
        "1.0000",
    }


@given(st.sampled_from(sorted(PRICE_TABLE)))
def test_table_tells_the_truth(text: str) -> None:
    assert Fraction(PRICE_TABLE[text], PRICE_SCALE) == Fraction(text)


@pytest.mark.parametrize(
    ("text", "ticks"),
    [("0.500000", 5000), ("00.25", 2500), ("+0.1", 1000), ("5e-1", 5000), ("1E0", PRICE_SCALE), ("-0", 0), ("0e99", 0)],
)
def test_unusual_spellings_of_a_price_are_parsed(text: str, ticks: int) -> None:
    assert price_ticks(text) == ticks


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 0.5",
        "0.5\n",
        "0_5",
        ".5",
        "5.",
        "0,5",
        "٠.٥",
        "nan",
        "inf",
        "-0.1",
        "-0.00001",
        "1.0001",
        "2",
        "0.00001",
        "0.99999",
        "1e400",
        "1e-400",
        "1e99",
        "1e-99",
        "9e999999",
        "1e-9999999",
        "0." + "1" * 40,
        "0x1",
        "\ud800",
    ],
)
def test_anything_else_is_no_price(text: str) -> None:
    with pytest.raises(ValueError, match=r"price|number"):
        price_ticks(text)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("0", 0),
        ("0.000001", 1),
        ("1e-06", 1),
        ("151.515152", 151_515_152),
        ("1000000000", MAX_SHARES * SIZE_SCALE),
        ("1e9", MAX_SHARES * SIZE_SCALE),
        ("2.50000000", 2_500_000),
    ],
)
def test_sizes_are_exact(text: str, units: int) -> None:
    assert size_units(text) == units


@pytest.mark.parametrize(
    "text",
    ["", "-1", "-0.000001", "0.0000001", "1000000000.000001", "1e18", "1e99", "9e999999", "1e-9999999", "nan", "1_0"],
)
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|number"):
        size_units(text)


@given(st.text(max_size=40))
def test_any_text_is_a_size_in_range_or_a_value_error(text: str) -> None:
    try:
        units = size_units(text)
    except ValueError:
        return
    assert 0 <= units <= MAX_SHARES * SIZE_SCALE


@given(st.decimals(0, 2_000_000_000, places=8))
def test_agrees_with_exact_decimal_arithmetic(value: Decimal) -> None:
    exact = Fraction(value) * SIZE_SCALE
    text = f"{value:f}"
    if exact.denominator == 1 and exact <= MAX_SHARES * SIZE_SCALE:
        assert size_units(text) == exact
    else:
        with pytest.raises(ValueError, match="size"):
            size_units(text)


def test_the_decimal_context_of_the_caller_changes_nothing() -> None:
    with decimal.localcontext() as context:
        context.prec = 2
        assert size_units("1234.567891") == 1_234_567_891
        assert price_ticks("0.123400") == 1234


def test_conversions_to_floats() -> None:
    assert price_usd(6_600) == pytest.approx(0.66)
    assert price_usd(0.5) == pytest.approx(0.00005)
    assert shares(151_515_152) == pytest.approx(151.515152)
    assert notional_usd(6_600 * 151_515_152) == pytest.approx(0.66 * 151.515152)


def test_seconds_and_nanoseconds() -> None:
    assert to_ns(1.5) == 1_500_000_000
    assert to_seconds(NS_PER_S // 4) == 0.25


@given(st.integers(-(10**15), 10**15))
def test_milliseconds_survive_the_way_through_seconds(milliseconds: int) -> None:
    assert to_ns(milliseconds / 1000) == pytest.approx(milliseconds * 1_000_000, abs=10**5)
