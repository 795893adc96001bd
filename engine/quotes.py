"""The fair price of the Up token and its past, as logits (signal-definitions 2.3 and 2.4).

A usable quote gives the micro-price, or the mid when the touch sizes are unknown. Without one the price is the median
of the last few trades. Without those it is undefined, which is a value and not an error.

Prices are kept as ``L(p) = ln(p / (1 − p))``, computed from the exact ratio of integers, so that the mirrored market
has exactly the negative. Trades come as YES-equivalent prices. Their age goes by the time of receipt, their order by
the venue's time, so that trades overtaking each other on the way change nothing.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from heapq import nlargest
from typing import Final

from engine.units import NS_PER_S, PRICE_SCALE

WIDE_TICKS: Final = 1_000
"""A spread above 0.10 USDC says nothing about the price."""

QUOTE_AGE_NS: Final = 5 * NS_PER_S
"""How old a quote may be at the end of the window."""

START_AGE_NS: Final = 10 * NS_PER_S
"""How old a quote may be at the start of the window."""

TRADE_AGE_NS: Final = 10 * NS_PER_S
MEDIAN_TRADES: Final = 5

LATENESS_NS: Final = NS_PER_S
"""How long after the first received trade one that happened before it may still arrive."""

_COMPACT_AFTER: Final = 512
_UNDEFINED: Final = math.nan

_Print = tuple[int, int, int]
"""``(receipt ns, venue's time ns, YES-equivalent price in ticks)``."""


def logit(up: int, down: int) -> float:
    """``ln(up / down)``, the logit of ``p = up / (up + down)``, both above 0; swapping them negates it exactly."""
    return math.log(up / down) if up <= down else -math.log(down / up)


def quote_logit(bid: int, ask: int, bid_size: int, ask_size: int) -> float:
    """Logit of the micro-price ``(Q_b·a + Q_a·b)/(Q_b + Q_a)``, or of the mid when a size is unknown (0).

    Prices are ticks with 0 < bid < ask < ``PRICE_SCALE``; NaN when they are more than ``WIDE_TICKS`` apart.
    """
    if ask - bid > WIDE_TICKS:
        return _UNDEFINED
    if bid_size <= 0 or ask_size <= 0:
        bid_size = ask_size = 1
    up = bid_size * ask + ask_size * bid
    return logit(up, (bid_size + ask_size) * PRICE_SCALE - up)


def median_logit(prices: list[int]) -> float:
    """Logit of the median of YES-equivalent prices in ticks, at least one, each inside (0, ``PRICE_SCALE``)."""
    ranked = sorted(prices)
    twice = ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]
    return logit(twice, 2 * PRICE_SCALE - twice)


class _QuoteSteps:
    """The quotes' logit as a step function of time, NaN where undefined.

    Equal values stated again within ``START_AGE_NS`` are one step, from its first statement to its last. So at any
    instant inside a step the last statement is younger than that.
    """

    __slots__ = ("_ends", "_head", "_starts", "_values")

    def __init__(self) -> None:
        self._starts = array("q")
        self._ends = array("q")
        self._values = array("d")
        self._head = 0

    def put(self, at_ns: int, value: float) -> None:
        if self._values:
            same = _defined(value) == _defined(self._values[-1])
            if same and at_ns - self._ends[-1] <= START_AGE_NS:
                self._ends[-1] = at_ns
                return
        self._starts.append(at_ns)
        self._ends.append(at_ns)
        self._values.append(value)

    def before(self, at_ns: int) -> float | None:
        """The value as of ``at_ns``, from statements strictly before it that are not too old."""
        index = bisect_left(self._starts, at_ns, lo=self._head) - 1
        if index < self._head or at_ns - self._ends[index] > START_AGE_NS:
            return None
        return _defined(self._values[index])

    def first_since(self, at_ns: int) -> tuple[int, float] | None:
        """Time and value of the first defined step that begins at or after ``at_ns``."""
        for index in range(bisect_left(self._starts, at_ns, lo=self._head), len(self._starts)):
            value = _defined(self._values[index])
            if value is not None:
                return self._starts[index], value
        return None

    def evict(self, start_ns: int) -> None:
        """Keep the step that holds just before ``start_ns`` and everything after it."""
        starts = self._starts
        while self._head + 1 < len(starts) and starts[self._head + 1] < start_ns:
            self._head += 1
        if self._head > _COMPACT_AFTER and 2 * self._head > len(starts):
            for column in (self._starts, self._ends, self._values):
                del column[: self._head]
            self._head = 0


class _RecentPrints:
    """Trades of the window and of the ``TRADE_AGE_NS`` before it, in the order of receipt."""

    __slots__ = ("_head", "_prints")

    def __init__(self) -> None:
        self._prints: list[_Print] = []
        self._head = 0

    def put(self, at_ns: int, event_ns: int, yes_price: int) -> None:
        self._prints.append((at_ns, event_ns, yes_price))

    def median(self, at_ns: int, *, stop: int | None = None) -> float | None:
        """Of the last trades, by the venue's time, not older than ``TRADE_AGE_NS`` at ``at_ns``.

        All that happened at the same time as the last of them count too: to choose among them by price would favour a
        side, by arrival chance.
        """
        recent = self._prints[self._index(at_ns - TRADE_AGE_NS) : stop]
        stamps = nlargest(MEDIAN_TRADES, (event_ns for _, event_ns, _ in recent))
        prices = [price for _, event_ns, price in recent if event_ns >= stamps[-1]]
        return median_logit(prices) if prices else None

    def median_before(self, at_ns: int) -> float | None:
        """The same from trades received strictly before ``at_ns``."""
        return self.median(at_ns, stop=self._index(at_ns))

    def first_since(self, at_ns: int) -> tuple[int, float] | None:
        """Time of the first receipt at or after ``at_ns``, and the median logit of the trades that happened first."""
        index = self._index(at_ns)
        if index == len(self._prints):
            return None
        first_ns = self._prints[index][0]
        candidates = self._prints[index : self._index(first_ns + LATENESS_NS + 1)]
        earliest_ns = min(event_ns for _, event_ns, _ in candidates)
        return first_ns, median_logit([price for _, event_ns, price in candidates if event_ns == earliest_ns])

    def evict(self, start_ns: int) -> None:
        self._head = self._index(start_ns - TRADE_AGE_NS)
        if self._head > _COMPACT_AFTER and 2 * self._head > len(self._prints):
            del self._prints[: self._head]
            self._head = 0

    def _index(self, at_ns: int) -> int:
        return bisect_left(self._prints, (at_ns,), lo=self._head)


class FairPrice:
    """Fair price of one market over its window.

    Times are epoch nanoseconds that never run backwards. ``evict(s)`` keeps what a window from ``s`` on needs. A logit
    is clipped to that of half a tick, the finest tick the market has had.
    """

    __slots__ = ("_prints", "_quoted_ns", "_spread", "_steps", "_top", "_value", "tick")

    def __init__(self, *, tick: int) -> None:
        self.tick = tick
        self._steps = _QuoteSteps()
        self._prints = _RecentPrints()
        self._top = (0, 0, 0, 0)
        self._value = _UNDEFINED
        self._spread: int | None = None
        self._quoted_ns = 0

    def quote(self, at_ns: int, bid: int, ask: int, bid_size: int, ask_size: int) -> float | None:
        """State the best bid and ask of Up, ticks and micro-shares (0: unknown); the logit, ``None`` if undefined."""
        top = (bid, ask, bid_size, ask_size)
        if not 0 < bid < ask < PRICE_SCALE:
            self.no_quote(at_ns)
        else:
            if top != self._top:
                self._top, self._value, self._spread = top, quote_logit(*top), ask - bid
            self._quoted_ns = at_ns
            self._steps.put(at_ns, self._value)
        return _defined(self._value)

    def no_quote(self, at_ns: int) -> None:
        """From now on there is no valid quote."""
        self._top, self._value, self._spread = (0, 0, 0, 0), _UNDEFINED, None
        self._steps.put(at_ns, _UNDEFINED)

    def trade(self, at_ns: int, event_ns: int, yes_price: int) -> None:
        """A trade received at ``at_ns`` that happened at ``event_ns`` by the venue's clock, at ``yes_price`` ticks."""
        self._prints.put(at_ns, event_ns, yes_price)

    def tick_size(self, tick: int) -> None:
        """The market's price step became ``tick``."""
        self.tick = min(self.tick, tick)

    def evict(self, start_ns: int) -> None:
        """Forget what no window from ``start_ns`` on can need."""
        self._steps.evict(start_ns)
        self._prints.evict(start_ns)

    def logit_at_end(self, end_ns: int) -> float | None:
        """Logit at the end of the window, where nothing was received later; ``None`` if undefined."""
        value = _defined(self._value) if end_ns - self._quoted_ns <= QUOTE_AGE_NS else None
        return self._clipped(self._prints.median(end_ns) if value is None else value)

    def logit_at_start(self, start_ns: int) -> float | None:
        """Logit as of the start, from before it if young enough, else the first one in the window, else ``None``."""
        value = self._steps.before(start_ns)
        if value is None:
            value = self._prints.median_before(start_ns)
        if value is None:
            found = (self._steps.first_since(start_ns), self._prints.first_since(start_ns))
            first = min((each for each in found if each is not None), key=lambda each: each[0], default=None)
            value = None if first is None else first[1]
        return self._clipped(value)

    def spread(self, end_ns: int) -> float | None:
        """Ask − bid in USDC per share, ``None`` without a valid quote that is young enough."""
        if self._spread is None or end_ns - self._quoted_ns > QUOTE_AGE_NS:
            return None
        return self._spread / PRICE_SCALE

    def _clipped(self, value: float | None) -> float | None:
        if value is None:
            return None
        limit = logit(2 * PRICE_SCALE - self.tick, self.tick)
        return max(-limit, min(limit, value))


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
