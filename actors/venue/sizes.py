"""How much rests at a price, and how much a taker takes. Sizes are micro-shares."""

from __future__ import annotations

from math import exp, log
from random import Random
from typing import Final

from actors.venue.spot import gaussian
from engine.units import PRICE_SCALE, SIZE_SCALE

COARSE: Final = 100
"""A cent, the usual price step."""

MICRO_SHARE: Final = 0.16
MICRO_UNITS: Final = 20_000
WHALE_SHARE: Final = 0.003
MEDIAN_SHARES: Final = 12.0


def resting_units(seed: int, slug: str, price: int) -> int:
    """What usually rests at a price: walls near 0 and 1, little between the cents."""
    extreme = abs(2 * price / PRICE_SCALE - 1.0)
    shares = 90.0 * (1.0 + 60.0 * extreme**8) * exp(0.8 * gaussian(seed, slug, price))
    return round_units((shares if price % COARSE == 0 else shares / 4) * SIZE_SCALE)


def trade_units(random: Random) -> int:
    """What a taker wants: 16 % micro trades, a few in a thousand above 1,000 shares, the others log-normal."""
    kind = random.random()
    if kind < MICRO_SHARE:
        return MICRO_UNITS
    if kind < MICRO_SHARE + WHALE_SHARE:
        return round_units((1_001.0 + random.lognormvariate(log(500.0), 0.8)) * SIZE_SCALE)
    units = min(random.lognormvariate(log(MEDIAN_SHARES), 1.4), 900.0) * SIZE_SCALE
    return max(int(units), MICRO_UNITS) if kind > 0.8 else round_units(units)


def round_units(units: float) -> int:
    """A size of whole cents of a share, at least one share."""
    return max(round(units / 10_000) * 10_000, SIZE_SCALE)
