"""Moves: where the price went in the seconds after a decision, seen from the direction that was called.

Means and not signs: a bounded martingale has skewed moves, so even a useless score names the sign of the next move
more often than not (signal-definitions 5.2.8 and 5.4). The mean of a useless score is 0 within its error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from attrs import frozen

from actors.evaluation.intervals import Blocks, Interval, Test, blocks, bootstrap_mean, cluster_test, mean_test
from actors.evaluation.metrics import BINS, equal_mass
from actors.evaluation.panel import SIGNALS, Array, Panel
from engine.decisions import HORIZONS_S

TICK_USD: Final = 0.01
"""What is called a tick here, whatever finer step a market has."""

PRIMARY_S: Final = 30.0
"""The horizon by which a claim is judged; declared beforehand, so that it is not picked among four."""


@frozen(kw_only=True)
class Move:
    """Mean move in ticks in the direction called, ``horizon_s`` after the decision; t is robust to clusters."""

    horizon_s: float
    mean: float
    standard_error: float
    test: Test
    number: int


@frozen(kw_only=True)
class Decile:
    """Moves of the markets whose |value| is about the same; ``low`` to ``high`` are the bounds of |value|."""

    low: float
    high: float
    moves: tuple[Move, ...]


@frozen(kw_only=True)
class Information:
    """How a value goes together with the price's move over ``PRIMARY_S``: the mean of their scaled product.

    Both are divided by their root mean square at their decision time, so it is a correlation about zero. 0 for a value
    that knows nothing. Its markets are the unit: of several decision times of one market the mean is taken.
    """

    signal: str
    correlation: Interval
    test: Test


def signed_ticks(panel: Panel, values: Array) -> Array:
    """(n, horizons) moves in ticks in the direction of ``values``, NaN where there is none or no price."""
    direction = np.where(values == 0, np.nan, np.sign(values))
    signed: Array = direction[:, None] * (panel.ahead - panel.mid[:, None]) / TICK_USD
    return signed


def mean_moves(signed: Array, of: Blocks) -> tuple[Move, ...]:
    """The mean of each column."""
    return tuple(_move(signed[:, index], horizon_s, of) for index, horizon_s in enumerate(HORIZONS_S))


def _move(values: Array, horizon_s: float, of: Blocks) -> Move:
    number = int(np.isfinite(values).sum())
    mean = float(np.nanmean(values)) if number else float("nan")
    test = cluster_test(values, of.of)
    error = abs(mean / test.statistic) if test.statistic else float("nan")
    return Move(horizon_s=horizon_s, mean=mean, standard_error=error, test=test, number=number)


def by_decile(panel: Panel, values: Array, of: Blocks, bins: int = BINS) -> list[Decile]:
    """Moves by the size of the value, where it has a sign."""
    signed = signed_ticks(panel, values)
    signs = np.flatnonzero(np.isfinite(values) & (values != 0))
    size = np.abs(values[signs])
    deciles = []
    for part in equal_mass(size, bins):
        rows = signs[part]
        moves = mean_moves(signed[rows], Blocks(kind=of.kind, of=of.of[rows]))
        deciles.append(Decile(low=float(size[part].min()), high=float(size[part].max()), moves=moves))
    return deciles


def information(panels: Sequence[Panel], signal: str) -> Information:
    """What a signal knows of the next half minute, over one or several decision times of the same markets."""
    products: dict[tuple[int, str], list[float]] = {}
    for panel in panels:
        product = _products(panel, signal)
        for row in np.flatnonzero(np.isfinite(product)):
            products.setdefault((int(panel.start_ns[row]), panel.keys[row]), []).append(float(product[row]))
    ordered = sorted(products)
    values = np.array([math.fsum(products[market]) / len(products[market]) for market in ordered], dtype=np.float64)
    chunks = blocks(np.array([start_ns for start_ns, _ in ordered], dtype=np.int64))
    return Information(signal=signal, correlation=bootstrap_mean(values, chunks), test=mean_test(values))


def _products(panel: Panel, signal: str) -> Array:
    values = panel.signals[signal]
    move = panel.ahead[:, HORIZONS_S.index(PRIMARY_S)] - panel.mid
    both = np.isfinite(values) & np.isfinite(move)
    scale = _root_mean_square(values[both]) * _root_mean_square(move[both])
    return values * move / scale if scale > 0 else np.full(len(panel), np.nan)


def _root_mean_square(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else 0.0


def present(panels: Sequence[Panel]) -> list[str]:
    """The signals that some market has."""
    return [name for name in SIGNALS if any(np.isfinite(panel.signals[name]).any() for panel in panels)]
