"""Intervals and tests that respect that markets near in time resemble each other.

The unit is the market. Means of per-market differences get an interval by resampling whole blocks of time, and a
Diebold–Mariano test with autocorrelation-consistent variance; pairs of hits and misses get McNemar's exact test.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np
from attrs import frozen
from scipy.stats import binomtest
from scipy.stats import t as student

from actors.evaluation.metrics import CONFIDENCE
from actors.evaluation.panel import DAY_NS, Array, Whole

DRAWS: Final = 10_000
SEED: Final = 20_260_413
DAYS_FOR_DAYS: Final = 30
"""From this many days on the blocks are days: with fewer blocks than that, resampling them is too optimistic."""
FOUR_HOURS_NS: Final = DAY_NS // 6
BLOCKS_NEEDED: Final = 10
"""With fewer blocks of four hours each market is its own block, which the report says."""

_CHUNK: Final = 1 << 22


@frozen(kw_only=True)
class Blocks:
    """Blocks of neighbouring markets: their ``kind`` (``day``, ``4h`` or ``market``), and each market's, from 0."""

    kind: str
    of: Whole


def blocks(as_of_ns: Whole) -> Blocks:
    """Days, or four hours where there are too few of them, or single markets."""
    days, hours = _numbered(as_of_ns // DAY_NS), _numbered(as_of_ns // FOUR_HOURS_NS)
    if len(np.unique(days)) >= DAYS_FOR_DAYS:
        return Blocks(kind="day", of=days)
    if len(np.unique(hours)) >= BLOCKS_NEEDED:
        return Blocks(kind="4h", of=hours)
    return Blocks(kind="market", of=np.arange(len(as_of_ns), dtype=np.int64))


@frozen(kw_only=True)
class Interval:
    """A mean of ``number`` values with its interval; NaN where there is too little for one."""

    mean: float
    low: float
    high: float
    number: int


def bootstrap_mean(
    values: Array, of: Blocks, *, level: float = CONFIDENCE, draws: int = DRAWS, seed: int = SEED
) -> Interval:
    """Percentile interval of the mean of finite ``values``, whole blocks drawn with replacement, from a fixed seed."""
    finite = np.isfinite(values)
    number = int(finite.sum())
    if not number:
        return Interval(mean=np.nan, low=np.nan, high=np.nan, number=0)
    kept, block = values[finite], _numbered(of.of[finite])
    sums = np.bincount(block, weights=kept).astype(np.float64)
    counts = np.bincount(block).astype(np.float64)
    mean = float(kept.mean())
    if len(sums) < 2:
        return Interval(mean=mean, low=np.nan, high=np.nan, number=number)
    means = _resampled(sums, counts, draws, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean=mean, low=float(low), high=float(high), number=number)


def _resampled(sums: Array, counts: Array, draws: int, seed: int) -> Array:
    """Means of ``draws`` resamples; in chunks, so that memory stays bounded however many blocks there are."""
    if draws * len(sums) <= _CHUNK:
        return _means(sums, counts, _only_resamples(len(sums), draws, seed))
    return np.concatenate([_means(sums, counts, times) for times in _resamples(len(sums), draws, seed)])


def _means(sums: Array, counts: Array, times: Array) -> Array:
    # Not by a matrix product: that would wake every core for a millisecond of work.
    means: Array = np.einsum("ij,j->i", times, sums) / np.einsum("ij,j->i", times, counts)
    return means


@lru_cache(maxsize=4)
def _only_resamples(number: int, draws: int, seed: int) -> Array:
    """The resamples that fit into one chunk. A report asks for the same ones hundreds of times."""
    [times] = _resamples(number, draws, seed)
    return times


def _resamples(number: int, draws: int, seed: int) -> Iterator[Array]:
    """Chunks of (resample, block) -> how often the block is in it, of ``number`` blocks drawn from ``number``."""
    rng, step = np.random.default_rng(seed), max(1, _CHUNK // number)
    for begin in range(0, draws, step):
        rows = min(step, draws - begin)
        places = rng.integers(number, size=(rows, number)) + number * np.arange(rows)[:, None]
        yield np.bincount(places.ravel(), minlength=rows * number).reshape(rows, number).astype(np.float64)


@frozen(kw_only=True)
class Test:
    """A statistic and its two-sided p-value."""

    __test__ = False  # not one of pytest's

    statistic: float
    p_value: float

    def upper_tail(self) -> float:
        """The one-sided p-value for a statistic above 0."""
        return self.p_value / 2 if self.statistic > 0 else 1 - self.p_value / 2


_NO_TEST: Final = Test(statistic=np.nan, p_value=np.nan)
_NO_DIFFERENCE: Final = Test(statistic=0.0, p_value=1.0)


def hac_variance(values: Array) -> float:
    """Long-run variance of a series (Newey–West 1987, Bartlett weights, lag 4·(n/100)^(2/9))."""
    number = len(values)
    centred = values - values.mean()
    lags = min(number - 1, int(4 * (number / 100) ** (2 / 9)))
    total = float(centred @ centred) / number
    for lag in range(1, lags + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / number
    return total


def mean_test(values: Array) -> Test:
    """Whether the mean of a time-ordered series is 0: Student's t with the long-run variance.

    On differences of two forecasts' losses this is the test of Diebold and Mariano (1995). NaN with fewer than three
    values; values that are all the same number differ for sure, unless it is 0.
    """
    finite = values[np.isfinite(values)]
    number = len(finite)
    if number < 3:
        return _NO_TEST
    if not finite.any():
        return _NO_DIFFERENCE
    variance = hac_variance(finite)
    if variance <= 0:
        return _NO_TEST
    statistic = float(finite.mean() / np.sqrt(variance / number))
    return Test(statistic=statistic, p_value=float(2 * student.sf(abs(statistic), number - 1)))


def cluster_test(values: Array, cluster: Whole) -> Test:
    """Whether a mean is 0 when values of one cluster depend on each other: cluster-robust t, G − 1 degrees of freedom.

    The variance of the mean is G/(G − 1)·Σ_g (Σ_{i∈g} (x_i − x̄))² / n². NaN with fewer than three clusters.
    """
    finite = np.isfinite(values)
    kept, group = values[finite], _numbered(cluster[finite])
    clusters = len(np.unique(group))
    if clusters < 3:
        return _NO_TEST
    if not kept.any():
        return _NO_DIFFERENCE
    residuals = np.bincount(group, weights=kept - kept.mean())
    variance = clusters / (clusters - 1) * float(residuals @ residuals) / len(kept) ** 2
    if variance <= 0:
        return _NO_TEST
    statistic = float(kept.mean() / np.sqrt(variance))
    return Test(statistic=statistic, p_value=float(2 * student.sf(abs(statistic), clusters - 1)))


@frozen(kw_only=True)
class Discordance:
    """Pairs in which just one was right, and the exact two-sided p-value that this is chance (McNemar)."""

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: Array, second: Array, up: Array) -> Discordance:
    """Two directions against each other where both are one."""
    both = np.isfinite(first) & np.isfinite(second) & (first != 0) & (second != 0)
    won = up[both] > 0.5
    right, other = (first[both] > 0) == won, (second[both] > 0) == won
    only_first, only_second = int((right & ~other).sum()), int((other & ~right).sum())
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return Discordance(only_first=only_first, only_second=only_second, p_value=p_value)


def _numbered(labels: Whole) -> Whole:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
