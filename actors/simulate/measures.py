"""What a score is worth: how often its sign agrees with the outcome, and how the price moves after it.

The first proves nothing by itself. In a market whose price is fair ``price > ½`` is right with the probability of
``arcsine``, so that a score which merely restates the price looks skilful; the second is the honest question, for the
price of a fair market moves by nothing on average, whatever was seen before. Means, not signs: near 0 and 1 most moves
are small steps one way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import asin, pi, sqrt
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from actors.simulate.features import FeatureTable
from actors.simulate.paths import Flags, Floats

EVEN: Final = 0.5

Score = Callable[[FeatureTable], NDArray[Any]]

SCORES: Final[Mapping[str, Score]] = MappingProxyType(
    {
        "price > 0.5": lambda table: table.mid - EVEN,
        "seed combined": lambda table: table.seed_score,
        "seed momentum": lambda table: table.seed_momentum,
        "seed flow": lambda table: table.seed_flow,
        "seed whale": lambda table: table.seed_whale,
        "corrected combined": lambda table: table.score,
        "corrected momentum": lambda table: table.momentum,
        "corrected flow": lambda table: table.flow,
        "corrected whale": lambda table: table.whale,
        "signed USD paid": lambda table: table.usd_paid,
        "signed capital at risk": lambda table: table.at_risk,
        "signed order count": lambda table: table.orders,
    }
)
"""The scores that are compared, by name: above 0 is a call for Up, 0 and NaN are abstentions."""


@frozen(kw_only=True)
class Accuracy:
    """``hits`` of ``calls`` were right, out of ``markets``; the others were abstentions."""

    hits: int
    calls: int
    markets: int

    @property
    def rate(self) -> float:
        """Hits among calls, NaN without a call."""
        return self.hits / self.calls if self.calls else float("nan")

    @property
    def standard_error(self) -> float:
        """Of the rate, NaN without a call."""
        return sqrt(self.rate * (1.0 - self.rate) / self.calls) if self.calls else float("nan")


@frozen(kw_only=True)
class Move:
    """A mean over ``markets`` markets in USDC per share, and its standard error (NaN below two markets)."""

    mean: float
    standard_error: float
    markets: int

    @property
    def t(self) -> float:
        """The mean in standard errors; 0 when nothing moved at all."""
        return self.mean / self.standard_error if self.mean else 0.0


def arcsine(share: float) -> float:
    """``½ + asin(√share)/π``: how often ``price > ½`` is right once ``share`` (0..1) of a fair market is over.

    The same holds for the sign of any move of the spot price that lasts ``share`` of the market.
    """
    return EVEN + asin(sqrt(share)) / pi


def accuracy(score: NDArray[Any], up_won: Flags) -> Accuracy:
    """How often the sign of a score agreed with the outcome."""
    called = np.nan_to_num(score) != 0
    hits = np.count_nonzero((score[called] > 0) == up_won[called])
    return Accuracy(hits=int(hits), calls=int(np.count_nonzero(called)), markets=len(score))


def mean_signed_move(*pairs: tuple[NDArray[Any], Floats]) -> Move:
    """The mean of ``sign(score) × move``, an abstention counting nothing.

    Several pairs are decisions about the same markets: they are averaged within each, for the market is the unit.
    """
    signed = [np.sign(np.nan_to_num(score)) * move for score, move in pairs]
    return _mean(np.mean(signed, axis=0))


def accuracies(table: FeatureTable) -> dict[str, Accuracy]:
    """The accuracy of every score in ``SCORES``."""
    return {name: accuracy(score(table), table.up_won) for name, score in SCORES.items()}


def moves(table: FeatureTable) -> dict[str, Move]:
    """The mean signed move after every score in ``SCORES``."""
    return {name: mean_signed_move((score(table), table.move)) for name, score in SCORES.items()}


def log_loss(probability: Floats, up_won: Flags) -> Floats:
    """Of each market in nats; probabilities strictly between 0 and 1."""
    return -np.log(np.where(up_won, probability, 1.0 - probability))


def _mean(values: Floats) -> Move:
    markets = len(values)
    error = float(np.std(values, ddof=1) / sqrt(markets)) if markets > 1 else float("nan")
    return Move(mean=float(np.mean(values)), standard_error=error, markets=markets)
