from math import isclose, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corrected import COMPONENTS, KAPPA, Options, combine, flow, logit_change, momentum, whale
from engine.quotes import logit
from engine.signals import Components


def at(ticks: int) -> float:
    return logit(ticks, 10_000 - ticks)


# ------------------------------------------------------------------------------------------------------------ momentum


def test_kappa() -> None:
    assert isclose(KAPPA, 0.2006707, abs_tol=5e-8)


@pytest.mark.parametrize(
    ("first", "last", "expected"), [(5_000, 5_500, 1.0), (5_000, 4_500, -1.0), (5_000, 5_000, 0.0)]
)
def test_momentum_of_the_original_assertions_is_exact(first: int, last: int, expected: float) -> None:
    assert momentum(at(first), at(last)) == expected


def test_momentum_of_half_the_move() -> None:
    assert momentum(at(5_000), at(5_250)) == pytest.approx(0.4987, abs=5e-5)
    assert momentum(at(5_000), at(5_250)) == pytest.approx(0.5, abs=0.01)


def test_the_bare_quotient_is_not_one() -> None:
    assert log(0.55 / (1 - 0.55)) / KAPPA == 1.0000000000000009
    assert logit_change(at(5_000), at(5_500), KAPPA) == 1.0


def test_mirrored_moves_before_the_clamp() -> None:
    assert logit_change(at(1_000), at(1_500), KAPPA) == 2.305386548258
    assert logit_change(at(9_000), at(8_500), KAPPA) == -2.305386548258


ticks = st.integers(1, 9_999)


@given(ticks, ticks, st.floats(1e-6, 1e6))
def test_momentum_is_bounded_and_antisymmetric(first: int, last: int, scale: float) -> None:
    value = momentum(at(first), at(last), scale)
    assert -1.0 <= value <= 1.0
    assert momentum(at(10_000 - first), at(10_000 - last), scale) == -value


# ---------------------------------------------------------------------------------------------------------------- flow


def test_flow_of_orders_is_shrunk_by_five() -> None:
    assert flow(1, 0, 1, 5.0) == 1 / 6
    assert flow(0, 3, 3, 5.0) == -3 / 8
    assert flow(15, 5, 20, 5.0) == 10 / 25


def test_flow_by_weight_is_shrunk_by_five_mean_orders() -> None:
    assert flow(3_000, 0, 3, 5.0) == 3 / 8
    assert flow(1_500, 500, 4, 5.0) == 1_000 / (2_000 + 5 * 500)


@pytest.mark.parametrize(("up", "down", "orders"), [(0, 0, 0), (0.0, 0.0, 1e-300), (1.0, 0.0, 0.0)])
def test_flow_without_a_directed_order_is_absent(up: float, down: float, orders: float) -> None:
    assert flow(up, down, orders, 5.0) is None


weights = st.floats(0, 1e300)


@given(weights, weights, st.floats(1e-300, 1e9), st.floats(0, 1e9))
def test_flow_is_bounded_and_antisymmetric(up: float, down: float, orders: float, shrinkage: float) -> None:
    value = flow(up, down, orders, shrinkage)
    mirrored = flow(down, up, orders, shrinkage)
    assert (value is None) == (mirrored is None)
    if value is not None and mirrored is not None:
        assert -1.0 <= value <= 1.0
        assert mirrored == -value


# --------------------------------------------------------------------------------------------------------------- whale


def test_whale_is_shrunk_by_one() -> None:
    assert whale(1, 0, 1.0) == 0.5
    assert whale(1, 3, 1.0) == -2 / 5
    assert whale(2, 2, 1.0) == 0.0


def test_no_whale_is_absent() -> None:
    assert whale(0, 0, 1.0) is None


# ------------------------------------------------------------------------------------------------------------- combine

WEIGHTS = {"momentum": 0.40, "volume_flow": 0.35, "whale": 0.25}


def test_all_present() -> None:
    components = Components(momentum=1.0, volume_flow=-1.0, whale=0.5)
    assert combine(components, WEIGHTS) == pytest.approx(0.40 - 0.35 + 0.125, abs=1e-15)


def test_weights_are_renormalised_over_what_is_present() -> None:
    assert combine(Components(momentum=1.0), WEIGHTS) == 1.0
    assert combine(Components(momentum=1.0, volume_flow=0.0), WEIGHTS) == pytest.approx(0.40 / 0.75, abs=1e-15)


def test_zero_is_not_absent() -> None:
    assert combine(Components(momentum=1.0, whale=0.0), WEIGHTS) == pytest.approx(0.40 / 0.65, abs=1e-15)


def test_nothing_present_is_none() -> None:
    assert combine(Components(), WEIGHTS) is None
    assert combine(Components(imbalance=1.0), WEIGHTS) is None
    assert combine(Components(whale=1.0), WEIGHTS | {"whale": 0.0}) is None


values = st.none() | st.floats(-1, 1)


@given(values, values, values, values, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_combination_is_bounded_and_antisymmetric(
    one: float | None, two: float | None, three: float | None, four: float | None, chosen: list[float]
) -> None:
    given = Components(momentum=one, volume_flow=two, whale=three, imbalance=four)
    negative = Components(**{name: None if (value := getattr(given, name)) is None else -value for name in COMPONENTS})
    named = dict(zip(COMPONENTS, chosen, strict=True))
    score = combine(given, named)
    mirrored = combine(negative, named)
    assert (score is None) == (mirrored is None)
    if score is not None and mirrored is not None:
        assert -1.0 <= score <= 1.0
        assert mirrored == -score


# ------------------------------------------------------------------------------------------------------------- options


def test_defaults() -> None:
    options = Options()
    assert (options.weight, options.whale_unit, options.momentum_scale) == ("orders", "shares", "fixed")
    assert (options.lambda_flow, options.lambda_whale) == (5.0, 1.0)
    assert (options.whale_multiple, options.whale_floor_shares) == (1.0, 2_000.0)
    assert options.half_life_s is None
