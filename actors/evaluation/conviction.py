"""Conviction: how a confidence is distributed, and whether more of it means better (signal-definitions 2.10 and 5.3 d).

A confidence is worth something if, where it is higher, the price half a minute later is nearer to p̂, and the score's
probability does better against the mid.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import frozen
from scipy.stats import spearmanr

from actors.evaluation.metrics import BINS, equal_mass
from actors.evaluation.panel import Array

MONOTONE: Final = 0.8
"""Rank correlation over the deciles from which they count as monotone."""

LEVELS: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
BINS_NEEDED: Final = 3


@frozen(kw_only=True)
class Distribution:
    """How a confidence is spread: quantiles at ``LEVELS``, mean, and the shares that sit at 0 and at 1."""

    number: int
    mean: float
    quantiles: tuple[float, ...]
    at_zero: float
    at_one: float


@frozen(kw_only=True)
class ConvictionBin:
    """Markets of about the same confidence: mean distance of the later price from p̂, mean log-loss less the mid's."""

    confidence: float
    distance: float
    excess_loss: float
    number: int


@frozen(kw_only=True)
class Conviction:
    """Bins by confidence, and how steadily each measure falls with it: −1 (rises) to 1 (falls), NaN: cannot be said."""

    bins: tuple[ConvictionBin, ...]
    distance_falls: float
    loss_falls: float

    @property
    def monotone(self) -> bool | None:
        """Whether both fall steadily, ``None`` when it cannot be said."""
        steadiness = (self.distance_falls, self.loss_falls)
        if not np.isfinite(steadiness).all():
            return None
        return min(steadiness) >= MONOTONE


def distribution(confidence: Array) -> Distribution:
    """The distribution of finite values."""
    values = confidence[np.isfinite(confidence)]
    if not len(values):
        return Distribution(number=0, mean=np.nan, quantiles=(np.nan,) * len(LEVELS), at_zero=np.nan, at_one=np.nan)
    return Distribution(
        number=len(values),
        mean=float(values.mean()),
        quantiles=tuple(float(value) for value in np.quantile(values, LEVELS)),
        at_zero=float((values == 0).mean()),
        at_one=float((values == 1).mean()),
    )


def conviction(confidence: Array, distance: Array, excess_loss: Array, bins: int = BINS) -> Conviction:
    """Bins of equal mass over the markets with a confidence and a distance; other losses are left out of their means.

    Markets of exactly the same confidence cannot be told apart and stay in one bin.
    """
    kept = np.isfinite(confidence) & np.isfinite(distance)
    confidence, distance, excess_loss = confidence[kept], distance[kept], excess_loss[kept]
    found = tuple(
        ConvictionBin(
            confidence=float(confidence[part].mean()),
            distance=float(distance[part].mean()),
            excess_loss=_mean(excess_loss[part]),
            number=len(part),
        )
        for part in _tied_bins(confidence, bins)
    )
    levels = [each.confidence for each in found]
    return Conviction(
        bins=found,
        distance_falls=_falling(levels, [each.distance for each in found]),
        loss_falls=_falling(levels, [each.excess_loss for each in found]),
    )


def _tied_bins(confidence: Array, bins: int) -> list[np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Equal mass, but each value in the bin where its first market fell."""
    place = np.empty(len(confidence), dtype=np.int64)
    for index, part in enumerate(equal_mass(confidence, bins)):
        place[part] = index
    _, group = np.unique(confidence, return_inverse=True)
    first = np.full(group.max() + 1 if len(group) else 0, bins)
    np.minimum.at(first, group, place)
    together = first[group]
    return [np.flatnonzero(together == index) for index in np.unique(together)]


def _falling(levels: list[float], values: list[float]) -> float:
    finite = [(level, value) for level, value in zip(levels, values, strict=True) if np.isfinite(value)]
    if len(finite) < BINS_NEEDED or len({value for _, value in finite}) < 2:
        return float("nan")
    return -float(spearmanr(*zip(*finite, strict=True)).statistic)


def _mean(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
