from itertools import pairwise
from math import isclose, log, sqrt

from hypothesis import given
from hypothesis import strategies as st

from engine.units import NS_PER_S
from engine.volatility import HALF_LIFE_S, LogitVolatility

S = NS_PER_S


def observed(*points: tuple[float, float]) -> LogitVolatility:
    volatility = LogitVolatility()
    for at_s, logit in points:
        volatility.observe(round(at_s * S), logit)
    return volatility


def test_unknown_before_the_first_change() -> None:
    assert observed().per_root_second() is None
    assert observed((0, 0.5)).per_root_second() is None


def test_one_change() -> None:
    assert observed((0, 0.0), (4, 0.6)).per_root_second() == sqrt(0.6**2 / 4)


def test_a_price_that_stands_still_has_none() -> None:
    assert observed((0, 0.5), (1, 0.5), (2, 0.5)).per_root_second() == 0.0


def test_flicker_within_a_second_is_not_seen() -> None:
    assert observed((0, 0.0), (0.2, 5.0), (0.9, -5.0), (1, 0.1)).per_root_second() == 0.1


def test_nothing_is_counted_across_a_break() -> None:
    volatility = observed((0, 0.0), (1, 0.1))
    volatility.interrupt()
    volatility.observe(2 * S, 5.0)
    assert volatility.per_root_second() == 0.1
    volatility.observe(3 * S, 5.1)
    assert isclose(volatility.per_root_second() or 0, 0.1)


@given(st.lists(st.tuples(st.integers(1, 60), st.floats(-5, 5)), min_size=2, max_size=50))
def test_equals_the_weighted_mean_of_the_definition(moves: list[tuple[int, float]]) -> None:
    at = 0
    points = [(at := at + seconds, logit) for seconds, logit in moves]
    squares = seconds = 0.0
    for (before_s, before), (after_s, after) in pairwise(points):
        weight = 0.5 ** ((at - after_s) / HALF_LIFE_S)
        squares += weight * (after - before) ** 2
        seconds += weight * (after_s - before_s)
    expected = sqrt(squares / seconds)
    assert isclose(observed(*points).per_root_second() or 0, expected, rel_tol=1e-9, abs_tol=1e-12)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30))
def test_the_mirrored_market_is_as_volatile(logits: list[float]) -> None:
    there = observed(*enumerate(logits))
    mirrored = observed(*((at, -logit) for at, logit in enumerate(logits)))
    assert there.per_root_second() == mirrored.per_root_second()


def test_old_changes_fade() -> None:
    calm = [(float(second), 0.0) for second in range(2, 2_000)]
    volatility = observed((0, 0.0), (1, log(11 / 9)), *calm)
    assert 0 < (volatility.per_root_second() or 0) < 0.01
