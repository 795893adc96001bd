"""Economics: what a direction would have earned, bought at the ask that was there after a delay, fees paid.

Per share of the side that was called, held to the outcome: 1 or 0, less the ask, less the fee f·p(1 − p) of a taker
(signal-definitions 5.2.9). Down costs 1 − Up's bid. Only what was displayed can be bought.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from attrs import frozen

from actors.evaluation.intervals import Blocks, Interval, bootstrap_mean
from actors.evaluation.metrics import Accuracy, accuracy
from actors.evaluation.panel import Array, Panel

FEE_RATE: Final = 0.07
"""The venue's taker fee rate f where the market's own is not recorded."""


def fee(price: Array | float, rate: float = FEE_RATE) -> Array | float:
    """USDC per share that a taker pays at this price."""
    return rate * price * (1 - price)


def break_even(price: Array | float, rate: float = FEE_RATE) -> Array | float:
    """The win rate at which buying at this price earns nothing: p + f·p(1 − p)."""
    return price + fee(price, rate)


@frozen(kw_only=True)
class Rung:
    """A direction bought ``latency_s`` after the decision.

    ``wins`` counts what could be bought; its ``abstained`` are the markets without a direction or without an ask.
    ``ask`` and ``break_even`` are means over what was bought, ``shares`` the median displayed size; ``profit`` is the
    mean per share and ``return_at_size`` the profit of buying all that was displayed, per USDC spent.
    """

    latency_s: float
    wins: Accuracy
    ask: float
    break_even: float
    profit: Interval
    shares: float
    return_at_size: float


def ladder(
    panel: Panel, direction: Array, latencies_s: Sequence[float], of: Blocks, *, rate: float = FEE_RATE
) -> list[Rung]:
    """The rung of each latency."""
    return [_rung(panel, direction, index, late_s, of, rate) for index, late_s in enumerate(latencies_s)]


def _rung(panel: Panel, direction: Array, index: int, latency_s: float, of: Blocks, rate: float) -> Rung:
    ask = np.where(direction > 0, panel.asks[:, index], 1 - panel.bids[:, index])
    shares = np.where(direction > 0, panel.ask_shares[:, index], panel.bid_shares[:, index])
    bought = np.isfinite(direction) & (direction != 0) & np.isfinite(ask) & (shares > 0)
    cost = np.asarray(break_even(ask, rate))
    won = (direction > 0) == (panel.up > 0.5)
    profit = np.where(bought, won - cost, np.nan)
    spent = float((cost * shares)[bought].sum())
    return Rung(
        latency_s=latency_s,
        wins=accuracy(np.where(bought, direction, 0.0), panel.up),
        ask=_mean(ask[bought]),
        break_even=_mean(cost[bought]),
        profit=bootstrap_mean(profit, of),
        shares=float(np.median(shares[bought])) if bought.any() else float("nan"),
        return_at_size=float((profit * shares)[bought].sum()) / spent if spent > 0 else float("nan"),
    )


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")
