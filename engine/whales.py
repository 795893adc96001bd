"""How large taker orders were in the past hour and are in the window, by price band (signal-definitions 2.6).

A band is a tenth of USDC, counted from the nearer end of the price range: an order at .15 and one at .85 are in the
same band, because buying Up at .85 is selling Down at .15. So the mirrored market has the same bands.

Sizes are kept in order, so that asking costs a search whatever the window holds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from enum import StrEnum
from typing import Final

from engine.units import NS_PER_S, PRICE_SCALE, SIZE_SCALE

HOUR_NS: Final = 3_600 * NS_PER_S

BANDS: Final = 5
_BAND_TICKS: Final = PRICE_SCALE // (2 * BANDS)

SAMPLES_NEEDED: Final = 100
"""With fewer orders than this there is no 99th percentile to speak of."""

LARGE_UNITS: Final = 1_000 * SIZE_SCALE
"""Nothing smaller can be a whale."""

PAID_WHALE: Final = 1_000 * PRICE_SCALE * SIZE_SCALE
"""$1,000 in ticks × micro-shares; a whale by what it paid has paid more, strictly."""

_BLOCK: Final = 1_024


class WhaleUnit(StrEnum):
    """What makes an order a whale: its payout in shares against the past hour, or more than $1,000 paid."""

    SHARES = "shares"
    USD_PAID = "usd_paid"


def price_band(up_notional: int, units: int) -> int:
    """Band 0..``BANDS − 1`` of an order's mean price, from Σ YES-equivalent price × size and Σ size (above 0)."""
    other_end = units * PRICE_SCALE - up_notional
    band = min(up_notional, other_end) // (units * _BAND_TICKS)
    return band if band < BANDS else BANDS - 1


class Sizes:
    """Sizes in ascending order, equal ones as often as they were added.

    Kept in blocks, so that adding and removing never move more than one, however many there are; ``count`` of them.
    """

    __slots__ = ("_blocks", "_bounds", "count")

    def __init__(self) -> None:
        # Nothing in a block is below its bound, nothing in the one before it above. A bound stays when its size goes.
        self._blocks: list[list[int]] = [[]]
        self._bounds: list[int] = [0]
        self.count = 0

    def add(self, size: int) -> None:
        """Add a size, 0 or more."""
        index = bisect_right(self._bounds, size) - 1
        block = self._blocks[index]
        insort(block, size)
        self.count += 1
        if len(block) > _BLOCK:
            upper = block[_BLOCK // 2 :]
            del block[_BLOCK // 2 :]
            self._blocks.insert(index + 1, upper)
            self._bounds.insert(index + 1, upper[0])

    def remove(self, size: int) -> None:
        """Remove a size that was added."""
        index = bisect_right(self._bounds, size) - 1
        while not _holds(block := self._blocks[index], place := bisect_left(block, size), size):
            index -= 1  # one that equals a bound may have stayed below it
        del block[place]
        self.count -= 1
        if not block and index:
            del self._blocks[index], self._bounds[index]

    def at_least(self, size: float) -> int:
        """How many have this size or more."""
        blocks = self._blocks
        index = max(0, bisect_left(self._bounds, size) - 1) if len(blocks) > 1 else 0
        found = len(blocks[index]) - bisect_left(blocks[index], size)
        return found + sum(map(len, blocks[index + 1 :])) if index + 1 < len(blocks) else found

    def from_top(self, rank: int) -> int:
        """The size that ``rank`` others come after, 0 for the largest; ``rank`` below their number."""
        for block in reversed(self._blocks):
            if rank < len(block):
                return block[-1 - rank]
            rank -= len(block)
        raise IndexError(rank)


def _holds(block: list[int], place: int, size: int) -> bool:
    return place < len(block) and block[place] == size


class SizeBaseline:
    """Sizes of the past hour's orders, in micro-shares, by band."""

    __slots__ = ("_orders", "_sizes")

    def __init__(self) -> None:
        self._orders: deque[tuple[int, int, int]] = deque()
        self._sizes: defaultdict[int, Sizes] = defaultdict(Sizes)

    def add(self, at_ns: int, band: int, units: int) -> None:
        """Add an order of ``units`` micro-shares received at ``at_ns``, not before the last one."""
        self._orders.append((at_ns, band, units))
        self._sizes[band].add(units)

    def evict(self, start_ns: int) -> None:
        """Drop the orders received more than an hour before ``start_ns``."""
        orders, oldest_ns = self._orders, start_ns - HOUR_NS
        while orders and orders[0][0] < oldest_ns:
            _, band, units = orders.popleft()
            self._sizes[band].remove(units)

    def percentile_99(self, band: int) -> int | None:
        """The 99th percentile of a band by nearest rank, ``None`` with fewer than ``SAMPLES_NEEDED`` orders."""
        sizes = self._sizes.get(band)
        if sizes is None or sizes.count < SAMPLES_NEEDED:
            return None
        return sizes.from_top(sizes.count // 100)


class LargeOrders:
    """The directed orders of a window that have ``LARGE_UNITS`` or more, by band and direction.

    An order is given by its direction (+1 toward Up, −1 away from it) and its sums: ``units`` in micro-shares, ``paid``
    and ``up_notional`` in ticks × micro-shares. One that grows is removed as it was and added as it is.
    """

    __slots__ = ("_paid", "_sizes")

    def __init__(self) -> None:
        self._sizes: defaultdict[tuple[int, int], Sizes] = defaultdict(Sizes)
        self._paid = {+1: 0, -1: 0}

    def add(self, direction: int, units: int, paid: int, up_notional: int) -> None:
        """Add an order that is large; nothing is done with one that has no direction."""
        if direction:
            self._sizes[price_band(up_notional, units), direction].add(units)
            self._paid[direction] += paid > PAID_WHALE

    def remove(self, direction: int, units: int, paid: int, up_notional: int) -> None:
        """Remove an order that was given to ``add`` like this."""
        if direction:
            self._sizes[price_band(up_notional, units), direction].remove(units)
            self._paid[direction] -= paid > PAID_WHALE

    def paid(self) -> tuple[int, int]:
        """How many paid more than $1,000, in either direction."""
        return self._paid[+1], self._paid[-1]

    def at_least(self, baseline: SizeBaseline, multiple: float, floor_units: float) -> tuple[int, int]:
        """How many have ``floor_units`` and ``multiple`` times what was usual in their band, if that is known."""
        up = down = 0
        for (band, direction), sizes in self._sizes.items():
            if not sizes.count:
                continue
            usual = baseline.percentile_99(band)
            number = sizes.at_least(floor_units if usual is None else max(floor_units, multiple * usual))
            if direction > 0:
                up += number
            else:
                down += number
        return up, down
