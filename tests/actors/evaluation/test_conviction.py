from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from actors.evaluation.conviction import conviction, distribution

RNG = np.random.default_rng(9)


def test_a_distribution_by_hand():
    told = distribution(np.array([0.0, 0.0, 0.5, 1.0, np.nan]))
    assert (told.number, told.mean, told.at_zero, told.at_one) == (4, 0.375, 0.5, 0.25)
    assert (told.quantiles[0], told.quantiles[3], told.quantiles[-1]) == (0.0, 0.25, 1.0)


def test_nothing_is_not_distributed():
    told = distribution(np.array([np.nan]))
    assert told.number == 0
    assert math.isnan(told.mean)


def test_confidence_that_means_something_is_monotone():
    confidence = RNG.random(2_000)
    distance = np.abs(RNG.normal(size=2_000)) * (1.5 - confidence)
    told = conviction(confidence, distance, -confidence + RNG.normal(size=2_000) * 0.1)
    assert len(told.bins) == 10
    assert [each.number for each in told.bins] == [200] * 10
    assert told.distance_falls > 0.9
    assert told.loss_falls > 0.9
    assert told.monotone is True


def test_confidence_that_means_nothing_is_not():
    told = conviction(RNG.random(2_000), RNG.random(2_000), RNG.random(2_000))
    assert told.monotone is False


def test_confidence_that_misleads_rises():
    confidence = np.linspace(0, 1, 100)
    told = conviction(confidence, confidence, -confidence)
    assert (told.distance_falls, told.loss_falls) == pytest.approx((-1.0, 1.0))
    assert told.monotone is False


def test_the_rank_correlation_is_spearmans():
    confidence = np.arange(50) / 50
    distance = RNG.random(50)
    told = conviction(confidence, distance, distance, bins=50)
    ranks = distance.argsort().argsort()
    expected = -(1 - 6 * np.sum((ranks - np.arange(50)) ** 2) / (50 * (50**2 - 1)))
    assert told.distance_falls == pytest.approx(expected)
    assert np.sign(told.distance_falls) == -np.sign(kendalltau(confidence, distance).statistic)


def test_equal_confidence_stays_together():
    told = conviction(np.array([0.0] * 25 + [0.5, 0.6, 0.7, 0.8, 0.9]), np.arange(30.0), np.arange(30.0))
    assert sum(each.number for each in told.bins) == 30
    assert told.bins[0].number == 25
    assert [each.confidence for each in told.bins] == sorted({each.confidence for each in told.bins})


def test_constant_confidence_says_nothing():
    told = conviction(np.zeros(40), RNG.random(40), RNG.random(40))
    assert len(told.bins) == 1
    assert math.isnan(told.distance_falls)
    assert told.monotone is None


def test_markets_without_a_loss_are_still_looked_at():
    told = conviction(np.linspace(0, 1, 40), np.linspace(1, 0, 40), np.full(40, np.nan))
    assert told.distance_falls == pytest.approx(1.0)
    assert math.isnan(told.loss_falls)
    assert told.monotone is None


def test_no_markets_have_no_bins():
    assert conviction(np.array([]), np.array([]), np.array([])).bins == ()
