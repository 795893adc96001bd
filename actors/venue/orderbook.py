"""One integer-tick book per market, in Up space: the Down token is the same book seen in a mirror.

Prices are ticks of 0.0001, sizes micro-shares. The wire text of each level is kept beside its size for both tokens, and
the text of a whole side until that side changes, because every message carries a hash over all of it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from functools import cache

from engine.events import Level
from engine.markets import Outcome, Side
from engine.units import PRICE_SCALE, price_text, size_text

spell_price = cache(price_text)
"""``price_text`` remembered: there are only ``PRICE_SCALE + 1`` prices."""


def level_text(price: int, size: int) -> str:
    """One level as it stands in a book."""
    return f'{{"price":"{spell_price(price)}","size":"{size_text(size)}"}}'


class Ladder:
    """One side of the book: price → size, and the wire texts of either token, worst level first."""

    __slots__ = ("_joined", "_prices", "_side", "_sizes", "_texts")

    def __init__(self, side: Side) -> None:
        self._side = side
        self._sizes: dict[int, int] = {}
        self._prices: list[int] = []
        self._texts: dict[int, tuple[str, str]] = {}
        self._joined: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._prices)

    def __getitem__(self, price: int) -> int:
        """The size at a price, 0 where nothing rests."""
        return self._sizes.get(price, 0)

    def __iter__(self) -> Iterator[int]:
        """Prices, worst first: bids ascending, asks descending."""
        return iter(self._prices) if self._side is Side.BUY else reversed(self._prices)

    @property
    def best(self) -> int | None:
        """The best price, ``None`` when empty."""
        if not self._prices:
            return None
        return self._prices[-1] if self._side is Side.BUY else self._prices[0]

    def levels(self) -> list[Level]:
        """``(price, size)`` pairs, worst first."""
        return [(price, self._sizes[price]) for price in self]

    def set(self, price: int, size: int) -> None:
        """Rest ``size`` at ``price``; 0 removes the level."""
        if size:
            if price not in self._sizes:
                insort(self._prices, price)
            self._sizes[price] = size
        elif self._sizes.pop(price, 0):
            del self._prices[bisect_left(self._prices, price)]
        self._texts.pop(price, None)
        self._joined.clear()

    def clear(self) -> None:
        """Remove every level."""
        for kept in (self._sizes, self._prices, self._texts, self._joined):
            kept.clear()

    def text(self, outcome: Outcome) -> str:
        """The levels as one token shows them, worst first, joined by commas. Down shows this side mirrored."""
        which = 0 if outcome is Outcome.UP else 1
        joined = self._joined.get(which)
        if joined is None:
            texts, sizes = self._texts, self._sizes
            for price in self._prices:
                if price not in texts:
                    size = sizes[price]
                    texts[price] = (level_text(price, size), level_text(PRICE_SCALE - price, size))
            joined = self._joined[which] = ",".join([texts[price][which] for price in self])
        return joined


class OrderBook:
    """Bids and asks of the Up token, the price step, the last trade (an Up price) and when it last changed.

    It does not refuse a crossing level: whoever trades keeps it uncrossed.
    """

    __slots__ = ("asks", "bids", "changed_ms", "last_trade", "tick")

    def __init__(self, tick: int = 100) -> None:
        self.bids = Ladder(Side.BUY)
        self.asks = Ladder(Side.SELL)
        self.tick = tick
        self.last_trade: int | None = None
        self.changed_ms = 0

    def side(self, side: Side) -> Ladder:
        """The ladder of a side in Up space."""
        return self.bids if side is Side.BUY else self.asks

    def top(self, outcome: Outcome) -> tuple[int | None, int | None]:
        """Best bid and ask of a token in its own prices, ``None`` for an empty side."""
        bid, ask = self.bids.best, self.asks.best
        if outcome is Outcome.UP:
            return bid, ask
        return (None if ask is None else PRICE_SCALE - ask, None if bid is None else PRICE_SCALE - bid)

    def levels(self, outcome: Outcome) -> tuple[list[Level], list[Level]]:
        """Bids and asks of a token in its own prices, worst first."""
        if outcome is Outcome.UP:
            return self.bids.levels(), self.asks.levels()
        return _mirrored(self.asks.levels()), _mirrored(self.bids.levels())

    def texts(self, outcome: Outcome) -> tuple[str, str]:
        """The wire text of a token's bids and of its asks, without the brackets."""
        sides = (self.bids, self.asks) if outcome is Outcome.UP else (self.asks, self.bids)
        return sides[0].text(outcome), sides[1].text(outcome)

    def clear(self, at_ms: int) -> None:
        """Nothing rests any more."""
        self.bids.clear()
        self.asks.clear()
        self.changed_ms = at_ms


def _mirrored(levels: list[Level]) -> list[Level]:
    return [(PRICE_SCALE - price, size) for price, size in levels]


def up_side(outcome: Outcome, side: Side) -> Side:
    """The side in Up space on which an order for a token's side rests: a Down bid is an Up ask."""
    return side if outcome is Outcome.UP else side.other


def own_price(outcome: Outcome, up_price: int) -> int:
    """An Up price as the token itself shows it."""
    return up_price if outcome is Outcome.UP else PRICE_SCALE - up_price
