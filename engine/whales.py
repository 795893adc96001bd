"""How large taker orders were in the past hour, by price band (signal-definitions 2.6).

A band is a tenth of USDC, counted from the nearer end of the price range: an order at .15 and one at .85 are in the
same band, because buying Up at .85 is selling Down at .15. So the mirrored market has the same bands.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import deque
from enum import StrEnum
from typing import Final

from engine.units import NS_PER_S, PRICE_SCALE, SIZE_SCALE

HOUR_NS: Final = 3_600 * NS_PER_S

BANDS: Final = 5
_BAND_TICKS: Final = PRICE_SCALE // (2 * BANDS)

SAMPLES_NEEDED: Final = 100
"""With fewer orders than this there is no 99th percentile to speak of."""

PAID_WHALE: Final = 1_000 * PRICE_SCALE * SIZE_SCALE
"""$1,000 in ticks × micro-shares; a whale by what it paid has paid more, strictly."""

_LARGEST: Final = (1 << 63) - 1


class WhaleUnit(StrEnum):
    """What makes an order a whale: its payout in shares against the past hour, or more than $1,000 paid."""

    SHARES = "shares"
    USD_PAID = "usd_paid"


def price_band(up_notional: int, units: int) -> int:
    """Band 0..``BANDS − 1`` of an order's mean price, from Σ YES-equivalent price × size and Σ size (above 0)."""
    nearer_end = min(up_notional, units * PRICE_SCALE - up_notional)
    return min(BANDS - 1, nearer_end // (units * _BAND_TICKS))


class SizeBaseline:
    """Sizes of the past hour's orders, in micro-shares, sorted within each band."""

    __slots__ = ("_orders", "_sizes")

    def __init__(self) -> None:
        self._orders: deque[tuple[int, int, int]] = deque()
        self._sizes = tuple(array("q") for _ in range(BANDS))

    def add(self, at_ns: int, band: int, units: int) -> None:
        """Add an order of ``units`` micro-shares received at ``at_ns``, not before the last one."""
        kept = min(units, _LARGEST)
        self._orders.append((at_ns, band, kept))
        insort(self._sizes[band], kept)

    def evict(self, start_ns: int) -> None:
        """Drop the orders received more than an hour before ``start_ns``."""
        while self._orders and self._orders[0][0] < start_ns - HOUR_NS:
            _, band, units = self._orders.popleft()
            sizes = self._sizes[band]
            del sizes[bisect_left(sizes, units)]

    def percentile_99(self, band: int) -> int | None:
        """The 99th percentile of a band by nearest rank, ``None`` with fewer than ``SAMPLES_NEEDED`` orders."""
        sizes = self._sizes[band]
        return None if len(sizes) < SAMPLES_NEEDED else sizes[-(-99 * len(sizes) // 100) - 1]
