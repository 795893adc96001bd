"""The spot price of a market's underlying, what Up is worth by it, and what is quoted.

The spot price is a Brownian path from the start on, looked at every second; Up wins if it does not end below its start.
At second ``t`` of ``T`` Up is worth ``Φ(W(t) / √(T − t))``, and nothing that happened before tells more. That price is
known to all: bid and ask lie around it, on the grid of the price step.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr

from engine.units import PRICE_SCALE

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def spot_path(random: Generator, seconds: int) -> Floats:
    """``W`` at seconds 0..``seconds``, starting at 0, with variance 1 a second."""
    return np.concatenate(([0.0], np.cumsum(random.standard_normal(seconds))))


def fair_prices(spot: Floats) -> Floats:
    """P(Up) at every second of a path, for who knows it until then; the last one is the outcome, 1 or 0 (tie: Up)."""
    left = np.arange(len(spot) - 1, 0, -1)
    outcome = float(spot[-1] >= 0.0)
    return np.append(ndtr(spot[:-1] / np.sqrt(left)), outcome)


def bids(fair: Floats, tick: int, spread_steps: int) -> Integers:
    """Up's best bid in ticks around each fair price, so that its ask is ``spread_steps`` price steps above it.

    The mid is the nearest to the fair price that the grid has. Both quotes stay inside (0, 1), whatever it is.
    """
    steps = PRICE_SCALE // tick
    nearest = np.rint(fair * steps - spread_steps / 2).astype(np.int64)
    return np.clip(nearest, 1, steps - 1 - spread_steps) * tick
