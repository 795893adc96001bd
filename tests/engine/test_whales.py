from collections import deque
from math import ceil
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.units import NS_PER_S, PRICE_SCALE, SIZE_SCALE
from engine.whales import BANDS, HOUR_NS, SAMPLES_NEEDED, LargeOrders, SizeBaseline, Sizes, price_band


@pytest.mark.parametrize(
    ("ticks", "band"),
    [(1, 0), (999, 0), (1_000, 1), (3_999, 3), (4_000, 4), (5_000, 4), (6_000, 4), (6_001, 3), (9_000, 1), (9_999, 0)],
)
def test_bands(ticks: int, band: int) -> None:
    assert price_band(ticks * 7, 7) == band


@given(st.integers(1, 10**15), st.data())
def test_the_mirrored_price_is_in_the_same_band(units: int, data: st.DataObject) -> None:
    notional = data.draw(st.integers(units, units * (PRICE_SCALE - 1)))
    band = price_band(notional, units)
    assert 0 <= band < BANDS
    assert band == price_band(units * PRICE_SCALE - notional, units)


# --------------------------------------------------------------------------------------------------------------- sizes


def test_from_top_beyond_all() -> None:
    with pytest.raises(IndexError):
        Sizes().from_top(0)


# A size is added, or (-1) one of those that are there goes.
changes = st.lists(
    st.tuples(st.integers(0, 12) | st.just(-1) | st.just(10**20), st.integers(0, 10**6)), min_size=20, max_size=120
)


@given(changes, st.integers(2, 5))
def test_sizes_equal_a_sorted_list(moves: list[tuple[int, int]], block: int) -> None:
    sizes = Sizes()
    ranked: list[int] = []
    with patch("engine.whales._BLOCK", block):
        for size, choice in moves:
            if size >= 0:
                sizes.add(size)
                ranked = sorted([*ranked, size])
            elif ranked:
                sizes.remove(ranked.pop(choice % len(ranked)))
            assert sizes.count == len(ranked)
            assert [sizes.from_top(rank) for rank in range(len(ranked))] == ranked[::-1]
            for least in (-1, 0, 0.5, 1, 3, 3.5, 7.5, 12, 13, 1e20, 2e20):
                assert sizes.at_least(least) == sum(size >= least for size in ranked)


def test_equal_sizes_on_both_sides_of_a_bound() -> None:
    sizes = Sizes()
    with patch("engine.whales._BLOCK", 2):
        for size in (5, 5, 5, 6):
            sizes.add(size)
    assert (sizes.at_least(5), sizes.at_least(5.5)) == (4, 1)
    for _ in range(3):
        sizes.remove(5)
    assert [sizes.from_top(rank) for rank in range(sizes.count)] == [6]


def test_many_sizes_stay_in_short_blocks() -> None:
    sizes = Sizes()
    for size in range(10_000):
        sizes.add(size * 7_919 % 10_000)
    assert 9 < len(sizes._blocks) < 30
    for size in range(9_990):
        sizes.remove(size)
    assert len(sizes._blocks) < 5
    assert [sizes.from_top(rank) for rank in range(10)] == list(range(9_999, 9_989, -1))


# ------------------------------------------------------------------------------------------------------------ baseline


def test_no_percentile_of_too_few() -> None:
    sizes = SizeBaseline()
    for size in range(SAMPLES_NEEDED - 1):
        sizes.add(0, 2, size)
    assert sizes.percentile_99(2) is None
    sizes.add(0, 3, 1)
    assert sizes.percentile_99(2) is None
    sizes.add(0, 2, 99)
    assert sizes.percentile_99(2) == 98


def test_an_order_counts_for_an_hour() -> None:
    sizes = SizeBaseline()
    for size in range(1, SAMPLES_NEEDED + 1):
        sizes.add(0, 0, size)
    sizes.evict(HOUR_NS)
    assert sizes.percentile_99(0) == 99
    sizes.evict(HOUR_NS + 1)
    assert sizes.percentile_99(0) is None


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 120), st.sampled_from((0, 4)), st.integers(1, 50)), min_size=150, max_size=250)
)
def test_equals_the_definition_at_every_step(moves: list[tuple[int, int, int]]) -> None:
    sizes = SizeBaseline()
    history: deque[tuple[int, int, int]] = deque()
    now_ns = 0
    for seconds, band, size in moves:
        now_ns += seconds * NS_PER_S
        sizes.add(now_ns, band, size)
        history.append((now_ns, band, size))
        sizes.evict(now_ns)
        for one in (0, 4):
            ranked = sorted(size for at, known, size in history if known == one and at >= now_ns - HOUR_NS)
            expected = ranked[ceil(0.99 * len(ranked)) - 1] if len(ranked) >= 100 else None
            assert sizes.percentile_99(one) == expected


# -------------------------------------------------------------------------------------------------------- large orders

CENT = SIZE_SCALE * PRICE_SCALE // 100


def test_only_directed_orders_count() -> None:
    large, baseline = LargeOrders(), SizeBaseline()
    for direction, shares in ((1, 1_000), (-1, 2_000), (-1, 2_500), (0, 3_000)):
        large.add(direction, shares * SIZE_SCALE, shares * 50 * CENT, shares * 50 * CENT)
    assert large.at_least(baseline, 1.0, 1_000 * SIZE_SCALE) == (1, 2)
    assert large.at_least(baseline, 1.0, 1_000 * SIZE_SCALE + 0.5) == (0, 2)
    assert large.paid() == (0, 1)
    large.remove(0, 3_000 * SIZE_SCALE, 1, 1)


def test_an_order_leaves_as_it_came() -> None:
    large, baseline = LargeOrders(), SizeBaseline()
    order = (2_001 * SIZE_SCALE, 2_001 * 90 * CENT, 2_001 * 10 * CENT)
    large.add(1, *order)
    assert large.paid() == large.at_least(baseline, 1.0, 0.0) == (1, 0)
    large.remove(1, *order)
    assert large.paid() == large.at_least(baseline, 1.0, 0.0) == (0, 0)


def test_each_band_has_its_own_threshold() -> None:
    large, baseline = LargeOrders(), SizeBaseline()
    for _ in range(SAMPLES_NEEDED):
        baseline.add(0, price_band(1_000, 1), 3_000 * SIZE_SCALE)
    for cents, direction in ((10, 1), (90, -1), (50, 1)):
        large.add(direction, 2_000 * SIZE_SCALE, 0, 2_000 * cents * CENT)
    assert large.at_least(baseline, 1.0, 2_000 * SIZE_SCALE) == (1, 0)
    assert large.at_least(baseline, 0.5, 2_000 * SIZE_SCALE) == (2, 1)
