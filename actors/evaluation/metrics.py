"""Metrics of forecasts against outcomes.

A *direction* (+1 Up, −1 Down, 0 none) has an accuracy. A *ranking* (any number that is larger the surer of Up) has an
area under the curve. Only a *probability* has a Brier score, a log-loss and a calibration; a score is none. Outcomes
are 1.0 where Up won, else 0.0. Means over nothing are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.special import ndtri
from sklearn.metrics import roc_auc_score

from actors.evaluation.panel import Array

CLIP: Final = 0.0005
"""Probabilities are clipped to this far from 0 and 1 (half of the venue's fine tick): no miss costs over 7.6 nats."""

BINS: Final = 10
CONFIDENCE: Final = 0.95


@frozen(kw_only=True)
class Accuracy:
    """Hits among calls, with the Wilson interval; who abstains is counted apart and is neither hit nor miss."""

    calls: int
    hits: int
    abstained: int
    value: float
    low: float
    high: float

    @property
    def abstention(self) -> float:
        """The share of abstentions."""
        total = self.calls + self.abstained
        return self.abstained / total if total else float("nan")


def wilson(hits: int, calls: int, level: float = CONFIDENCE) -> tuple[float, float]:
    """The Wilson (1927) score interval of a share; (0, 1) without calls.

    (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n).
    """
    if not calls:
        return 0.0, 1.0
    z = float(ndtri((1 + level) / 2))
    share, grain = hits / calls, z * z / calls
    half = z * math.sqrt(share * (1 - share) / calls + grain / (4 * calls))
    return max(0.0, (share + grain / 2 - half) / (1 + grain)), min(1.0, (share + grain / 2 + half) / (1 + grain))


def accuracy(direction: Array, up: Array) -> Accuracy:
    """How often a direction is right where it is one."""
    called = np.isfinite(direction) & (direction != 0)
    calls = int(called.sum())
    hits = int(((direction > 0) == (up > 0.5))[called].sum())
    low, high = wilson(hits, calls)
    value = hits / calls if calls else float("nan")
    return Accuracy(calls=calls, hits=hits, abstained=len(up) - calls, value=value, low=low, high=high)


def brier_losses(probability: Array, up: Array) -> Array:
    """Squared error of each forecast."""
    return np.square(probability - up)


def log_losses(probability: Array, up: Array) -> Array:
    """Negative log-likelihood of each forecast in nats, probabilities clipped by ``CLIP``."""
    clipped = np.clip(probability, CLIP, 1 - CLIP)
    return -np.where(up > 0.5, np.log(clipped), np.log1p(-clipped))


def area_under_curve(ranking: Array, up: Array) -> float:
    """The chance that a random Up ranks above a random Down; NaN unless there are both."""
    if len(np.unique(up)) < 2:
        return float("nan")
    return float(roc_auc_score(up, ranking))


@frozen(kw_only=True)
class Bin:
    """Forecasts of about the same size: their mean, how often Up won, its Wilson interval and their number."""

    forecast: float
    observed: float
    low: float
    high: float
    number: int


def equal_mass(values: Array, bins: int = BINS) -> list[npt.NDArray[np.intp]]:
    """Indices of ``values`` in up to ``bins`` parts of nearly equal size, by size of the value; none is empty."""
    return [part for part in np.array_split(np.argsort(values, kind="stable"), bins) if len(part)]


def calibration(probability: Array, up: Array, bins: int = BINS) -> list[Bin]:
    """The points of the calibration plot, in bins of equal mass."""
    return [_bin(probability[part], up[part]) for part in equal_mass(probability, bins)]


def _bin(probability: Array, up: Array) -> Bin:
    wins = int(up.sum())
    low, high = wilson(wins, len(up))
    return Bin(forecast=float(probability.mean()), observed=wins / len(up), low=low, high=high, number=len(up))


def calibration_error(points: Sequence[Bin]) -> float:
    """Expected calibration error: the mean distance of forecast and frequency, weighted by the bins' numbers."""
    number = sum(point.number for point in points)
    return sum(point.number * abs(point.forecast - point.observed) for point in points) / number if number else math.nan


@frozen(kw_only=True)
class Murphy:
    """Brier = reliability − resolution + uncertainty + within (Murphy 1973).

    ``within`` is what forecasts differ by inside a bin (variance less twice the covariance with the outcome, Stephenson
    et al. 2008); without it the three classic terms do not add up unless each bin holds one forecast value.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within: float

    @property
    def brier(self) -> float:
        """The sum of the parts: the Brier score."""
        return self.reliability - self.resolution + self.uncertainty + self.within


def murphy(probability: Array, up: Array, bins: int = BINS) -> Murphy:
    """The decomposition of the Brier score over bins of equal mass; NaN without forecasts."""
    if not len(up):
        return Murphy(reliability=np.nan, resolution=np.nan, uncertainty=np.nan, within=np.nan)
    base = float(up.mean())
    reliability = resolution = within = 0.0
    for part in equal_mass(probability, bins):
        forecast, observed = probability[part].mean(), up[part].mean()
        reliability += len(part) * (forecast - observed) ** 2
        resolution += len(part) * (observed - base) ** 2
        spread = probability[part] - forecast
        within += float(np.sum(spread**2 - 2 * spread * (up[part] - observed)))
    number = len(up)
    return Murphy(
        reliability=float(reliability / number),
        resolution=float(resolution / number),
        uncertainty=base * (1 - base),
        within=within / number,
    )
