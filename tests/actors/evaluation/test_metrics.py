from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, log_loss

from actors.evaluation.metrics import (
    CLIP,
    accuracy,
    area_under_curve,
    brier_losses,
    calibration,
    calibration_error,
    equal_mass,
    log_losses,
    murphy,
    wilson,
)

RNG = np.random.default_rng(7)
FORECASTS = RNG.random(237)
OUTCOMES = (RNG.random(237) < FORECASTS).astype(float)

samples = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def columns(sample: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([forecast for forecast, _ in sample]), np.array([float(won) for _, won in sample])


# ----------------------------------------------------------------------------------------------------------- accuracy


@pytest.mark.parametrize(
    ("hits", "calls", "low", "high"),
    # Values of the textbooks, the last one from Newcombe (1998).
    [(10, 20, 0.2993, 0.7007), (0, 10, 0.0, 0.2775), (1, 10, 0.0179, 0.4042), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_of_the_textbooks(hits: int, calls: int, low: float, high: float) -> None:
    assert wilson(hits, calls) == pytest.approx((low, high), abs=1e-4)


@given(calls=st.integers(1, 5000), share=st.floats(0, 1), level=st.sampled_from([0.9, 0.95, 0.99]))
def test_wilson_agrees_with_scipy(calls: int, share: float, level: float) -> None:
    hits = int(share * calls)
    other = binomtest(hits, calls).proportion_ci(level, method="wilson")
    assert wilson(hits, calls, level) == pytest.approx((other.low, other.high), abs=1e-9)


def test_nothing_called_is_nothing_known():
    measured = accuracy(np.array([0.0, np.nan]), np.array([1.0, 0.0]))
    assert (measured.calls, measured.abstained, measured.low, measured.high) == (0, 2, 0.0, 1.0)
    assert math.isnan(measured.value)
    assert measured.abstention == 1.0


def test_abstentions_are_neither_hits_nor_misses():
    measured = accuracy(np.array([1.0, -1.0, 0.0, np.nan, 0.3]), np.array([1.0, 1.0, 1.0, 0.0, 1.0]))
    assert (measured.calls, measured.hits, measured.abstained) == (3, 2, 2)
    assert measured.value == pytest.approx(2 / 3)
    assert measured.abstention == pytest.approx(0.4)


def test_no_markets_have_no_abstentions_either():
    assert math.isnan(accuracy(np.array([]), np.array([])).abstention)


# -------------------------------------------------------------------------------------------------------------- losses


def test_losses_agree_with_scikit_learn():
    assert log_losses(FORECASTS, OUTCOMES).mean() == pytest.approx(
        log_loss(OUTCOMES, np.clip(FORECASTS, CLIP, 1 - CLIP))
    )
    assert brier_losses(FORECASTS, OUTCOMES).mean() == pytest.approx(brier_score_loss(OUTCOMES, FORECASTS))


def test_a_sure_miss_costs_the_clip():
    assert log_losses(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx([7.6009] * 2, abs=1e-4)
    assert log_losses(np.array([1.0]), np.array([1.0]))[0] == pytest.approx(CLIP, rel=1e-3)


def test_area_under_curve_counts_pairs():
    ranking, up = np.array([0.1, 0.4, 0.4, 0.8]), np.array([0.0, 0.0, 1.0, 1.0])
    pairs = [(1.0 if high > low else 0.5 if high == low else 0.0) for high in (0.4, 0.8) for low in (0.1, 0.4)]
    assert area_under_curve(ranking, up) == sum(pairs) / 4
    assert math.isnan(area_under_curve(ranking, np.ones(4)))


# --------------------------------------------------------------------------------------------------------- calibration


@given(samples)
def test_the_parts_of_the_brier_score_add_up(sample: list[tuple[float, bool]]) -> None:
    forecast, up = columns(sample)
    parts = murphy(forecast, up)
    assert parts.brier == pytest.approx(brier_losses(forecast, up).mean(), abs=1e-12)
    assert parts.reliability >= 0
    assert 0 <= parts.resolution <= parts.uncertainty + 1e-12


def test_murphys_own_identity_where_each_bin_holds_one_forecast():
    forecast = np.repeat([0.1, 0.5, 0.9], 10)
    up = np.concatenate([np.repeat([0.0, 1.0], [9, 1]), np.repeat([0.0, 1.0], [4, 6]), np.repeat([0.0, 1.0], [2, 8])])
    parts = murphy(forecast, up, bins=3)
    base = 15 / 30
    assert parts.reliability == pytest.approx((0.0 + 0.1**2 + 0.1**2) / 3)
    assert parts.resolution == pytest.approx(((0.1 - base) ** 2 + (0.6 - base) ** 2 + (0.8 - base) ** 2) / 3)
    assert parts.uncertainty == 0.25
    assert parts.within == pytest.approx(0.0, abs=1e-12)


def test_bins_have_equal_mass_and_are_never_empty():
    assert [len(part) for part in equal_mass(FORECASTS)] == [24] * 7 + [23] * 3
    assert [len(part) for part in equal_mass(FORECASTS[:4])] == [1] * 4
    assert equal_mass(np.array([])) == []


def test_calibration_points_and_their_error_by_hand():
    forecast, up = np.array([0.2, 0.3, 0.7, 0.9]), np.array([0.0, 1.0, 1.0, 1.0])
    low, high = calibration(forecast, up, bins=2)
    assert (low.forecast, low.observed, low.number) == (pytest.approx(0.25), 0.5, 2)
    assert (high.forecast, high.observed, high.number) == (pytest.approx(0.8), 1.0, 2)
    assert (low.low, low.high) == pytest.approx(wilson(1, 2))
    assert calibration_error([low, high]) == pytest.approx((2 * 0.25 + 2 * 0.2) / 4)


def test_a_true_probability_is_calibrated():
    rng = np.random.default_rng(3)
    forecast = rng.random(200_000)
    up = (rng.random(200_000) < forecast).astype(float)
    assert calibration_error(calibration(forecast, up)) < 0.005
    assert murphy(forecast, up).reliability < 1e-4


def test_nothing_has_no_calibration():
    nothing = np.array([])
    assert math.isnan(calibration_error(calibration(nothing, nothing)))
    assert math.isnan(murphy(nothing, nothing).brier)
