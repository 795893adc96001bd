"""Baselines: what can be said of a market without any score (signal-definitions 5.2.5).

Each is a forecast of one panel. The one that matters is the mid as a probability: whoever does not beat it knows
nothing that the market does not.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import frozen

from actors.evaluation.intervals import SEED
from actors.evaluation.panel import Array, Panel

MID: Final = "mid"
PRICE: Final = "price"


@frozen(kw_only=True, eq=False)
class Forecast:
    """What one method says of each market of a panel, NaN or 0 where it abstains.

    ``direction`` is +1 Up, −1 Down, 0 none; ``ranking`` is larger the surer of Up; ``probability`` is ``None`` for
    whatever is no probability. ``title`` is for people.
    """

    name: str
    title: str
    direction: Array
    ranking: Array
    probability: Array | None = None


def of_probability(name: str, title: str, probability: Array) -> Forecast:
    """A probability of Up; exactly ½ is no direction."""
    direction = np.sign(probability - 0.5)
    return Forecast(name=name, title=title, direction=direction, ranking=probability, probability=probability)


def of_sign(name: str, title: str, values: Array) -> Forecast:
    """A number whose sign is a direction and which is no probability; 0 is no direction."""
    return Forecast(name=name, title=title, direction=np.sign(values), ranking=values)


def baselines(panel: Panel, seed_score: Array, *, seed: int = SEED) -> list[Forecast]:
    """Every baseline of a panel; ``seed_score`` is the original preset's score of the same markets."""
    return [
        of_probability(MID, "mid as a probability", panel.mid),
        of_probability(PRICE, "price > ½ (mid; an empty side near certainty counts as certainty)", panel.price),
        of_probability("micro", "micro-price as a probability", panel.fair),
        of_probability("last_trade", "last trade > ½", panel.last_trade),
        of_sign("mid_move", "sign of the mid's move over the window", panel.mid_move),
        of_sign("seed", "sign of the seed score", seed_score),
        of_probability("majority", "majority of the markets before", majority(panel)),
        coin(len(panel), seed=seed),
    ]


def majority(panel: Panel) -> Array:
    """The share of Up among the markets that were over before the decision, by Laplace's rule: (wins + 1)/(n + 2)."""
    order = np.argsort(panel.end_ns, kind="stable")
    over = np.searchsorted(panel.end_ns[order], panel.as_of_ns, side="right")
    wins = np.concatenate([[0.0], np.cumsum(panel.up[order])])[over]
    return np.asarray((wins + 1) / (over + 2), dtype=np.float64)


def coin(number: int, *, seed: int = SEED) -> Forecast:
    """A fair coin, thrown the same way for the same seed."""
    thrown = np.random.default_rng(seed).choice([-1.0, 1.0], size=number)
    half = np.full(number, 0.5)
    return Forecast(name="coin", title="a coin", direction=thrown, ranking=half, probability=half)
