from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.confidence import corrected_confidence, seed_confidence

# ---------------------------------------------------------------------------------------------------------------- seed


@pytest.mark.parametrize(
    ("trades", "expected"), [(0, 0.0), (9, 0.09), (10, 0.20), (25, 0.50), (35, 0.70), (50, 1.0), (5_000, 1.0)]
)
def test_reference_values_of_a_full_window(trades: int, expected: float) -> None:
    assert seed_confidence(trades, 1.0) == expected


@pytest.mark.parametrize(("trades", "seconds", "expected"), [(50, 60, 0.5), (5, 30, 0.0125)])
def test_reference_values_of_a_partial_window(trades: int, seconds: int, expected: float) -> None:
    assert seed_confidence(trades, seconds / 120) == expected


def test_coverage_is_relative_to_the_configured_window() -> None:
    # With a fixed divisor of 120 s a full window of 10 s could never exceed 0.083.
    assert seed_confidence(50, 10 / 10) == 1.0


# ----------------------------------------------------------------------------------------------------------- corrected


def corrected(coverage: float = 1.0, age_s: float | None = 0.0, orders: int = 20, spread: float | None = 0.0) -> float:
    return corrected_confidence(coverage=coverage, age_s=age_s, orders=orders, spread=spread)


def test_each_factor_is_the_definition() -> None:
    assert corrected() == 0.5
    assert corrected(orders=60) == 0.75
    assert corrected(coverage=0.5) == 0.25
    assert corrected(age_s=15.0) == 0.25
    assert corrected(spread=0.05) == 0.25
    assert corrected(coverage=0.5, age_s=15.0, orders=60, spread=0.05) == pytest.approx(0.5**3 * 0.75, abs=1e-15)


def test_an_unknown_spread_or_age_is_no_confidence() -> None:
    assert corrected(spread=None) == 0.0
    assert corrected(age_s=None) == 0.0


@pytest.mark.parametrize(
    "nothing", [corrected(coverage=0.0), corrected(age_s=30.0), corrected(orders=0), corrected(spread=0.10)]
)
def test_any_factor_at_its_end_is_no_confidence(nothing: float) -> None:
    assert nothing == 0.0


shares = st.floats(0, 1)
ages = st.floats(0, 40)
numbers = st.integers(0, 10_000)
spreads = st.floats(0, 0.2)


@given(shares, ages, numbers, spreads, shares, ages, numbers, spreads)
def test_monotone_in_every_argument(
    coverage: float, age: float, orders: int, spread: float, coverage2: float, age2: float, orders2: int, spread2: float
) -> None:
    better = corrected(max(coverage, coverage2), min(age, age2), max(orders, orders2), min(spread, spread2))
    assert better >= corrected(coverage, age, orders, spread)


@given(shares, ages, numbers, spreads)
def test_continuous_in_every_argument(coverage: float, age: float, orders: int, spread: float) -> None:
    here = corrected(coverage, age, orders, spread)
    near = corrected(coverage + 1e-6, age + 1e-6, orders, spread + 1e-6)
    assert near == pytest.approx(here, abs=2e-5)
    assert corrected(coverage, age, orders + 1, spread) - here <= 1 / 20


def test_never_constant_in_the_number_of_orders() -> None:
    values = [corrected(orders=orders) for orders in range(2_000)]
    assert all(low < high for low, high in pairwise(values))


anything = st.floats(allow_nan=True, allow_infinity=True)


@given(st.integers(-10, 10**12), anything, st.none() | anything, st.none() | anything)
def test_finite_and_in_range_for_any_input(
    number: int, coverage: float, age: float | None, spread: float | None
) -> None:
    assert 0.0 <= seed_confidence(number, coverage) <= 1.0
    assert 0.0 <= corrected(coverage, age, number, spread) <= 1.0
