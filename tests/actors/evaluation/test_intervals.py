from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, t, ttest_1samp

from actors.evaluation.intervals import (
    Blocks,
    blocks,
    bootstrap_mean,
    cluster_test,
    hac_variance,
    mcnemar,
    mean_test,
)
from engine.units import NS_PER_S

DAY_S = 86_400


def times(*seconds: float) -> np.ndarray:
    return np.array([round(second * NS_PER_S) for second in seconds], dtype=np.int64)


def single(number: int) -> Blocks:
    return Blocks(kind="market", of=np.arange(number, dtype=np.int64))


# -------------------------------------------------------------------------------------------------------------- blocks


def test_blocks_are_days_when_there_are_many():
    found = blocks(times(*(DAY_S * day + hour for day in range(30) for hour in (0, 40_000))))
    assert found.kind == "day"
    assert found.of.tolist() == [day for day in range(30) for _ in range(2)]


def test_blocks_are_four_hours_when_there_are_few_days():
    found = blocks(times(*(3600 * hour for hour in range(48))))
    assert found.kind == "4h"
    assert found.of.tolist() == [hour // 4 for hour in range(48)]


def test_blocks_are_single_markets_when_there_is_less():
    found = blocks(times(*(300 * slot for slot in range(24))))
    assert found.kind == "market"
    assert found.of.tolist() == [*range(24)]


# ----------------------------------------------------------------------------------------------------------- bootstrap


def test_the_interval_of_independent_values_is_the_normal_one():
    values = np.random.default_rng(1).normal(0.3, 2.0, 2_000)
    found = bootstrap_mean(values, single(2_000))
    error = values.std() / math.sqrt(2_000)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((found.mean - 1.96 * error, found.mean + 1.96 * error), abs=0.006)


def test_values_that_hang_together_widen_the_interval():
    means = np.random.default_rng(2).normal(size=50)
    values = np.repeat(means, 20)
    apart = bootstrap_mean(values, single(1000))
    together = bootstrap_mean(values, Blocks(kind="day", of=np.repeat(np.arange(50), 20)))
    assert (together.high - together.low) / (apart.high - apart.low) == pytest.approx(math.sqrt(20), rel=0.1)


def test_it_resamples_blocks_as_the_naive_way_does():
    values = np.array([1.0, 2.0, 3.0, 10.0, 20.0, 5.0])
    of = Blocks(kind="day", of=np.array([0, 0, 1, 2, 2, 3]))
    rng = np.random.default_rng(20_260_413)
    naive = []
    for drawn in rng.integers(4, size=(10_000, 4)):
        picked = np.concatenate([values[of.of == block] for block in drawn])
        naive.append(picked.mean())
    found = bootstrap_mean(values, of)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(naive, [0.025, 0.975])))


def test_the_same_seed_gives_the_same_interval_however_many_blocks_there_are():
    values = np.random.default_rng(5).normal(size=3_000)
    assert bootstrap_mean(values, single(3_000), draws=500) == bootstrap_mean(values, single(3_000), draws=500)


def test_absent_values_are_left_out():
    found = bootstrap_mean(np.array([1.0, np.nan, 3.0]), single(3))
    assert (found.mean, found.number, found.low, found.high) == (2.0, 2, 1.0, 3.0)


def test_too_little_gives_no_interval():
    one = bootstrap_mean(np.array([1.0, np.nan]), single(2))
    assert one.mean == 1.0
    assert math.isnan(one.low)
    assert math.isnan(bootstrap_mean(np.array([np.nan]), single(1)).mean)


# --------------------------------------------------------------------------------------------------------------- tests


def test_newey_west_by_hand():
    values = np.array([1.0, 3.0, 2.0, 5.0, 4.0])
    centred = values - 3.0
    # n = 5: lag ⌊4·(5/100)^(2/9)⌋ = 2, weights 2/3 and 1/3
    gamma = [sum(centred[i] * centred[i - lag] for i in range(lag, 5)) / 5 for lag in range(3)]
    assert hac_variance(values) == pytest.approx(gamma[0] + 2 * (2 / 3 * gamma[1] + 1 / 3 * gamma[2]))


def test_without_autocorrelation_it_is_close_to_students_test():
    values = np.random.default_rng(4).normal(0.02, 1.0, 5_000)
    found, plain = mean_test(values), ttest_1samp(values, 0.0)
    assert found.statistic == pytest.approx(plain.statistic, rel=0.15)


def test_autocorrelated_differences_do_not_look_surer_than_they_are():
    rng = np.random.default_rng(8)
    rejected = plainly = 0
    for _ in range(300):
        noise = rng.normal(size=400)
        values = noise.copy()
        for index in range(1, 400):
            values[index] += 0.4 * values[index - 1]
        rejected += mean_test(values).p_value < 0.05
        plainly += ttest_1samp(values, 0.0).pvalue < 0.05
    assert rejected / 300 < 0.12 < plainly / 300


def test_means_of_nothing_and_of_no_difference():
    assert math.isnan(mean_test(np.array([1.0, 2.0])).statistic)
    assert mean_test(np.zeros(10)).p_value == 1.0
    assert math.isnan(mean_test(np.full(10, 0.25)).statistic)


def test_one_sided_tails():
    values = np.random.default_rng(4).normal(0.1, 1.0, 500)
    assert mean_test(values).upper_tail() == pytest.approx(mean_test(values).p_value / 2)
    assert mean_test(-values).upper_tail() == pytest.approx(1 - mean_test(values).p_value / 2)


def test_cluster_robust_t_by_hand():
    values, group = np.array([1.0, 2.0, 4.0, -1.0, 3.0, np.nan]), np.array([7, 7, 3, 3, 5, 5])
    mean = 9 / 5
    sums = [(1 - mean) + (2 - mean), (4 - mean) + (-1 - mean), 3 - mean]
    error = math.sqrt(3 / 2 * sum(each**2 for each in sums)) / 5
    found = cluster_test(values, group)
    assert found.statistic == pytest.approx(mean / error)
    assert found.p_value == pytest.approx(2 * t.sf(mean / error, 2))


def test_clusters_of_one_are_students_test():
    values = np.random.default_rng(6).normal(0.2, 1.0, 80)
    found, plain = cluster_test(values, np.arange(80)), ttest_1samp(values, 0.0)
    assert (found.statistic, found.p_value) == pytest.approx((plain.statistic, plain.pvalue))


def test_too_few_clusters_test_nothing():
    assert math.isnan(cluster_test(np.ones(4), np.array([0, 0, 1, 1])).p_value)
    assert cluster_test(np.zeros(4), np.arange(4)).p_value == 1.0
    assert math.isnan(cluster_test(np.ones(4), np.arange(4)).p_value)


# ------------------------------------------------------------------------------------------------------------- McNemar


@given(first=st.integers(0, 40), second=st.integers(0, 40))
def test_mcnemar_is_the_exact_binomial(first: int, second: int) -> None:
    calls = [(1.0, -1.0)] * first + [(-1.0, 1.0)] * second + [(1.0, 1.0)] * 5 + [(1.0, 0.0), (np.nan, 1.0)]
    one, other = np.array(calls).T
    found = mcnemar(one, other, np.ones(len(calls)))
    assert (found.only_first, found.only_second) == (first, second)
    tail = binom.cdf(min(first, second), first + second, 0.5)
    assert found.p_value == pytest.approx(min(1.0, 2 * tail))
