import math
from statistics import NormalDist

import numpy as np
import pytest

from actors.simulate.measures import arcsine
from actors.simulate.paths import bids, fair_prices, spot_path


def test_a_path_starts_at_nothing_and_spreads_like_the_root_of_time() -> None:
    random = np.random.default_rng(1)
    paths = np.stack([spot_path(random, 100) for _ in range(4_000)])
    assert paths.shape == (4_000, 101)
    assert not paths[:, 0].any()
    assert np.std(paths[:, 100]) == pytest.approx(10.0, rel=0.05)
    assert np.std(paths[:, 25]) == pytest.approx(5.0, rel=0.05)


def test_the_fair_price_is_the_normal_probability_of_ending_up() -> None:
    fair = fair_prices(np.array([0.0, 1.0, -2.0, 0.5]))
    normal = NormalDist()
    expected = [0.5, normal.cdf(1 / math.sqrt(2)), normal.cdf(-2.0), 1.0]
    assert fair == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("last", "outcome"), [(1e-9, 1.0), (0.0, 1.0), (-1e-9, 0.0)])
def test_a_tie_is_up(last: float, outcome: float) -> None:
    assert fair_prices(np.array([0.0, 3.0, last]))[-1] == outcome


def test_the_fair_price_moves_by_nothing_on_average() -> None:
    random = np.random.default_rng(2)
    fair = np.stack([fair_prices(spot_path(random, 60)) for _ in range(5_000)])
    for earlier, later in ((0, 60), (10, 30), (30, 59), (59, 60)):
        steps = fair[:, later] - fair[:, earlier]
        risen = np.sign(fair[:, earlier] - 0.5 + 1e-12) * steps
        assert abs(np.mean(risen)) < 3 * np.std(risen) / math.sqrt(5_000)


@pytest.mark.parametrize(("from_s", "to_s"), [(0, 120), (240, 360), (780, 900), (0, 60), (300, 900)])
def test_the_sign_of_any_move_of_the_spot_price_obeys_the_arcsine_law(from_s: int, to_s: int) -> None:
    random = np.random.default_rng(3)
    paths = np.stack([spot_path(random, 900) for _ in range(4_000)])
    right = np.mean((paths[:, to_s] > paths[:, from_s]) == (paths[:, 900] >= 0))
    expected = arcsine((to_s - from_s) / 900)
    assert abs(right - expected) < 3 * math.sqrt(expected * (1 - expected) / 4_000)


def test_quotes_lie_around_the_fair_price() -> None:
    fair = np.array([0.5, 0.4321, 0.123449])
    assert bids(fair, 10, 3).tolist() == [4980, 4310, 1220]
    assert bids(fair, 100, 1).tolist() == [5000, 4300, 1200]
    assert bids(fair, 10, 2).tolist() == [4990, 4310, 1220]


@pytest.mark.parametrize(("tick", "spread"), [(10, 1), (10, 3), (10, 4), (100, 1), (100, 2), (1, 7)])
def test_the_mid_is_the_nearest_there_is_and_mirrors(tick: int, spread: int) -> None:
    fair = np.random.default_rng(4).uniform(0.02, 0.98, 1_000)
    bid = bids(fair, tick, spread)
    mid = bid + spread * tick / 2
    assert np.max(np.abs(mid - fair * 10_000)) <= tick / 2 + 1e-6
    mirrored = 10_000 - (bids(1 - fair, tick, spread) + spread * tick)
    assert np.array_equal(mirrored, bid)


@pytest.mark.parametrize(("fair", "bid"), [(0.0, 10), (1e-30, 10), (1.0, 9_960), (0.99999, 9_960)])
def test_both_quotes_stay_inside(fair: float, bid: int) -> None:
    assert bids(np.array([fair]), 10, 3).tolist() == [bid]
