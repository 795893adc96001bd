"""The scorecard of one forecast: every metric that applies to it, alone and against the mid at the same instant.

Differences are taken on the markets where both speak, so that neither gains by staying silent.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen

from actors.evaluation.baselines import Forecast
from actors.evaluation.intervals import Blocks, Discordance, bootstrap_mean, mcnemar, mean_test
from actors.evaluation.metrics import (
    Accuracy,
    Bin,
    Murphy,
    accuracy,
    area_under_curve,
    brier_losses,
    calibration,
    calibration_error,
    log_losses,
    murphy,
)
from actors.evaluation.panel import Array
from actors.evaluation.verdict import Gain


@frozen(kw_only=True)
class Likeness:
    """What only a probability has: proper scores, calibration, and its Δ against the mid (below 0: better)."""

    brier: float
    murphy: Murphy
    log_loss: float
    calibration_error: float
    calibration: tuple[Bin, ...]
    delta_log_loss: Gain
    delta_brier: Gain


@frozen(kw_only=True)
class Scorecard:
    """One forecast measured; ``against_mid`` counts where just one of it and the mid's direction was right.

    ``number`` markets had a value to rank by. ``probability`` is ``None`` for what is no probability.
    """

    name: str
    title: str
    number: int
    accuracy: Accuracy
    area_under_curve: float
    against_mid: Discordance
    probability: Likeness | None


def scorecard(forecast: Forecast, up: Array, mid: Array, of: Blocks) -> Scorecard:
    """Measure a forecast of the markets of ``up``."""
    spoken = np.isfinite(forecast.ranking)
    return Scorecard(
        name=forecast.name,
        title=forecast.title,
        number=int(spoken.sum()),
        accuracy=accuracy(forecast.direction, up),
        area_under_curve=area_under_curve(forecast.ranking[spoken], up[spoken]),
        against_mid=mcnemar(forecast.direction, np.sign(mid - 0.5), up),
        probability=None if forecast.probability is None else _likeness(forecast.probability, up, mid, of),
    )


def gain(first: Array, second: Array, of: Blocks) -> Gain:
    """Δ of two columns of losses, where both are."""
    differences = first - second
    finite = differences[np.isfinite(differences)]
    return Gain(
        delta=bootstrap_mean(differences, of),
        test=mean_test(differences),
        deviation=float(finite.std(ddof=1)) if len(finite) > 1 else float("nan"),
    )


def _likeness(probability: Array, up: Array, mid: Array, of: Blocks) -> Likeness:
    spoken = np.isfinite(probability)
    said, won = probability[spoken], up[spoken]
    parts = murphy(said, won)
    losses = log_losses(said, won)
    points = calibration(said, won)
    return Likeness(
        brier=parts.brier,
        murphy=parts,
        log_loss=float(losses.mean()) if len(losses) else float("nan"),
        calibration_error=calibration_error(points),
        calibration=tuple(points),
        delta_log_loss=gain(log_losses(probability, up), log_losses(mid, up), of),
        delta_brier=gain(brier_losses(probability, up), brier_losses(mid, up), of),
    )
