"""Which orders are whales by the corrected rule, for many markets at once (signal-definitions 2.6).

Every trade is an order of its own here. A whale has at least the floor, and at least the 99th percentile of the sizes
in its price band during the hour before the window, once there are enough of them.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from actors.simulate.paths import Floats, Integers
from actors.simulate.takers import Trades
from engine.corrected import Options
from engine.units import PRICE_SCALE, SIZE_SCALE, to_ns
from engine.whales import BANDS, HOUR_NS, SAMPLES_NEEDED, price_band

_NO_ORDER: Final = -1


def whale_sizes(trades: Trades, start_s: float, options: Options) -> Floats:
    """The least micro-shares of a whale by market (rows) and price band (columns) in a window from ``start_s`` on."""
    floor_units = options.whale_floor_shares * SIZE_SCALE
    least = np.full((len(trades.at_ns), BANDS), floor_units)
    start_ns = to_ns(start_s)
    before = (trades.at_ns < start_ns) & (trades.at_ns >= start_ns - HOUR_NS)
    bands = bands_of(trades)
    for band in range(BANDS):
        members = before & (bands == band)
        enough = np.flatnonzero(np.count_nonzero(members, axis=1) >= SAMPLES_NEEDED)
        if enough.size:
            usual = _percentile_99(np.where(members[enough], trades.units[enough], _NO_ORDER))
            least[enough, band] = np.maximum(floor_units, options.whale_multiple * usual)
    return least


def bands_of(trades: Trades) -> Integers:
    """The price band of every trade."""
    bands: Integers = _band_of_price()[trades.yes_price]
    return bands


def _percentile_99(units: Integers) -> Integers:
    """By nearest rank, over the orders of each row."""
    ordered = np.sort(units, axis=1)
    orders = np.count_nonzero(units != _NO_ORDER, axis=1)
    above = orders - -(-99 * orders // 100)
    usual: Integers = ordered[np.arange(len(units)), units.shape[1] - 1 - above]
    return usual


@cache
def _band_of_price() -> Integers:
    return np.array([price_band(price, 1) for price in range(PRICE_SCALE + 1)])
