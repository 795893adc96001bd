from random import Random

import pytest

from actors.venue.sizes import MICRO_UNITS, resting_units, round_units, trade_units
from engine.units import SIZE_SCALE


def test_trades_are_mostly_small_sometimes_tiny_and_rarely_whales() -> None:
    random = Random(1)
    sizes = [trade_units(random) for _ in range(20_000)]
    assert sizes.count(MICRO_UNITS) / len(sizes) == pytest.approx(0.16, abs=0.02)
    whales = [size for size in sizes if size > 1_000 * SIZE_SCALE]
    assert len(whales) / len(sizes) == pytest.approx(0.003, abs=0.002)
    assert min(sizes) >= MICRO_UNITS
    assert sorted(sizes)[len(sizes) // 2] / SIZE_SCALE == pytest.approx(9.0, abs=3.0)
    assert any(size % 10_000 for size in sizes)


def test_walls_stand_near_the_extremes() -> None:
    def average(prices: range) -> float:
        return sum(resting_units(seed, "slug", price) for price in prices for seed in range(20)) / len(prices)

    assert average(range(100, 400, 100)) > 10 * average(range(4_000, 6_000, 100))
    assert resting_units(1, "slug", 5_000) == resting_units(1, "slug", 5_000) != resting_units(2, "slug", 5_000)


def test_rounding_leaves_at_least_a_share() -> None:
    assert round_units(3.0) == SIZE_SCALE
    assert round_units(12_345_678.0) == 12_350_000
