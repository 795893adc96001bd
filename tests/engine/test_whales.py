from collections import deque
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.units import MAX_SHARES, NS_PER_S, PRICE_SCALE, SIZE_SCALE
from engine.whales import BANDS, HOUR_NS, SAMPLES_NEEDED, SizeBaseline, price_band


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


def test_a_size_beyond_reason_is_kept_as_the_largest() -> None:
    sizes = SizeBaseline()
    for _ in range(SAMPLES_NEEDED):
        sizes.add(0, 0, 10_000_000 * MAX_SHARES * SIZE_SCALE)
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
