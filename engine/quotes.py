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
from bisect import bisect_left, insort
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

NO_TOP: Final = (0, 0, 0, 0)
"""In place of bid, ask and their sizes when there is no valid quote."""

_Print = tuple[int, int, int]
"""``(receipt ns, venue's time ns, YES-equivalent price in ticks)``."""


def logit(up: int, down: int) -> float:
    """``ln(up / down)``, the logit of ``p = up / (up + down)``, both above 0; swapping them negates it exactly."""
    return math.log(up / down) if up <= down else -math.log(down / up)


def quote_logit(bid: int, ask: int, bid_size: int, ask_size: int) -> float | None:
    """Logit of the micro-price ``(Q_b·a + Q_a·b)/(Q_b + Q_a)``, or of the mid when a size is unknown (0).

    Prices are ticks with 0 < bid < ask < ``PRICE_SCALE``; ``None`` when they are more than ``WIDE_TICKS`` apart.
    """
    if ask - bid > WIDE_TICKS:
        return None
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
    """The quotes' logit as a step function of time, ``None`` where undefined.

    Equal values stated again within ``START_AGE_NS`` are one step, from its first statement to its last. So at any
    instant inside a step the last statement is younger than that. The last step goes on: when it was stated last is
    given with every question.
    """

    __slots__ = ("_ends", "_head", "_starts", "_values")

    def __init__(self) -> None:
        self._starts = array("q")
        # The end of each step at the place of the next one, where it becomes known.
        self._ends = array("q")
        self._values: list[float | None] = []
        self._head = 0

    def begin(self, at_ns: int, value: float | None, stated_ns: int) -> None:
        """A step begins, the one before it was stated last at ``stated_ns``."""
        self._starts.append(at_ns)
        self._ends.append(stated_ns)
        self._values.append(value)

    def before(self, at_ns: int, stated_ns: int) -> float | None:
        """The value as of ``at_ns``, from statements strictly before it that are not too old."""
        index = self._since(at_ns) - 1
        if index < self._head:
            return None
        end_ns = self._ends[index + 1] if index + 1 < len(self._ends) else stated_ns
        return self._values[index] if at_ns - end_ns <= START_AGE_NS else None

    def first_since(self, at_ns: int) -> tuple[int, float] | None:
        """Time and value of the first defined step that begins at or after ``at_ns``."""
        for index in range(self._since(at_ns), len(self._starts)):
            value = self._values[index]
            if value is not None:
                return self._starts[index], value
        return None

    def evict(self, start_ns: int) -> None:
        """Keep the step that holds just before ``start_ns`` and everything after it."""
        head, starts = self._head, self._starts
        while head + 1 < len(starts) and starts[head + 1] < start_ns:
            head += 1
        if head > _COMPACT_AFTER and 2 * head > len(starts):
            del starts[:head], self._ends[:head], self._values[:head]
            head = 0
        self._head = head

    def _since(self, at_ns: int) -> int:
        """Place of the first step that begins at or after ``at_ns``: after the head, where the window starts then."""
        starts, after = self._starts, self._head + 1
        if after <= len(starts) and starts[after - 1] < at_ns and (after == len(starts) or at_ns <= starts[after]):
            return after
        return bisect_left(starts, at_ns, lo=self._head)


class _RecentPrints:
    """Trades of the window and of the ``TRADE_AGE_NS`` before it, in the order of receipt."""

    __slots__ = ("_head", "_lead_ns", "_prints")

    def __init__(self) -> None:
        self._prints: list[_Print] = []
        self._head = 0
        # The most by which the venue's time was ever later than the receipt; as a rule it is earlier.
        self._lead_ns = -TRADE_AGE_NS

    def put(self, at_ns: int, event_ns: int, yes_price: int) -> None:
        self._prints.append((at_ns, event_ns, yes_price))
        self._lead_ns = max(self._lead_ns, event_ns - at_ns)

    def median(self, at_ns: int, *, stop: int | None = None) -> float | None:
        """Of the last trades, by the venue's time, not older than ``TRADE_AGE_NS`` at ``at_ns``.

        All that happened at the same time as the last of them count too: to choose among them by price would favour a
        side, by arrival chance.
        """
        prints, oldest_ns, lead_ns = self._prints, at_ns - TRADE_AGE_NS, self._lead_ns
        if stop is None:
            stop = len(prints)
        index = stop
        stamps: list[int] = []
        while index > self._head:
            received_ns, event_ns, _ = prints[index - 1]
            full = len(stamps) == MEDIAN_TRADES
            if received_ns < oldest_ns or (full and received_ns + lead_ns < stamps[0]):
                break
            index -= 1
            insort(stamps, event_ns)
            del stamps[:-MEDIAN_TRADES]
        prices = [price for _, event_ns, price in prints[index:stop] if event_ns >= stamps[0]]
        return median_logit(prices) if prices else None

    def median_before(self, at_ns: int) -> float | None:
        """The same from trades received strictly before ``at_ns``."""
        if self._head == len(self._prints) or self._prints[self._head][0] >= at_ns:
            return None
        return self.median(at_ns, stop=self._index(at_ns))

    def first_since(self, at_ns: int, until_ns: int | None) -> float | None:
        """The median logit of the trades that happened first, of those received first at or after ``at_ns``.

        ``None`` unless there is one received before ``until_ns``.
        """
        index, prints = self._index(at_ns), self._prints
        if index == len(prints) or (until_ns is not None and prints[index][0] >= until_ns):
            return None
        candidates = prints[index : self._index(prints[index][0] + LATENESS_NS + 1)]
        earliest_ns = min(event_ns for _, event_ns, _ in candidates)
        return median_logit([price for _, event_ns, price in candidates if event_ns == earliest_ns])

    def evict(self, start_ns: int) -> None:
        head, prints, oldest_ns = self._head, self._prints, start_ns - TRADE_AGE_NS
        while head < len(prints) and prints[head][0] < oldest_ns:
            head += 1
        if head > _COMPACT_AFTER and 2 * head > len(prints):
            del prints[:head]
            head = 0
        self._head = head

    def _index(self, at_ns: int) -> int:
        return bisect_left(self._prints, (at_ns,), lo=self._head)


class FairPrice:
    """Fair price of one market over its window.

    Times are epoch nanoseconds that never run backwards. ``evict(s)`` keeps what a window from ``s`` on needs. A logit
    is clipped to that of half a tick, the finest tick the market has had.
    """

    __slots__ = ("_limit", "_prints", "_steps", "_value", "quoted_ns", "tick", "top")

    def __init__(self, *, tick: int) -> None:
        self.tick = tick
        self._limit = _largest_logit(tick)
        self._steps = _QuoteSteps()
        self._prints = _RecentPrints()
        self._value: float | None = None
        self.top = NO_TOP
        self.quoted_ns = 0

    def quote(self, at_ns: int, bid: int, ask: int, bid_size: int, ask_size: int) -> float | None:
        """State the best bid and ask of Up, ticks and micro-shares (0: unknown); the logit, ``None`` if undefined."""
        top = (bid, ask, bid_size, ask_size)
        value = self._value
        if top != self.top:
            if not 0 < bid < ask < PRICE_SCALE:
                self.no_quote(at_ns)
                return None
            self.top, value = top, quote_logit(bid, ask, bid_size, ask_size)
        if value != self._value or (value is not None and at_ns - self.quoted_ns > START_AGE_NS):
            self._steps.begin(at_ns, value, self.quoted_ns)
            self._value = value
        self.quoted_ns = at_ns
        return value

    def no_quote(self, at_ns: int) -> None:
        """From now on there is no valid quote."""
        if self._value is not None:
            self._steps.begin(at_ns, None, self.quoted_ns)
        self.top, self._value = NO_TOP, None

    def trade(self, at_ns: int, event_ns: int, yes_price: int) -> None:
        """A trade received at ``at_ns`` that happened at ``event_ns`` by the venue's clock, at ``yes_price`` ticks."""
        self._prints.put(at_ns, event_ns, yes_price)

    def tick_size(self, tick: int) -> None:
        """The market's price step became ``tick``."""
        self.tick = min(self.tick, tick)
        self._limit = _largest_logit(self.tick)

    def evict(self, start_ns: int) -> None:
        """Forget what no window from ``start_ns`` on can need."""
        self._steps.evict(start_ns)
        self._prints.evict(start_ns)

    def logit_at_end(self, end_ns: int) -> float | None:
        """Logit at the end of the window, where nothing was received later; ``None`` if undefined."""
        value = self._value
        if value is None or end_ns - self.quoted_ns > QUOTE_AGE_NS:
            value = self._prints.median(end_ns)
        return self._clipped(value)

    def logit_at_start(self, start_ns: int) -> float | None:
        """Logit as of the start, from before it if young enough, else the first one in the window, else ``None``."""
        value = self._steps.before(start_ns, self.quoted_ns)
        if value is None:
            value = self._prints.median_before(start_ns)
        return self._clipped(self._first_since(start_ns) if value is None else value)

    def _first_since(self, start_ns: int) -> float | None:
        """Of a quote and a trade, what came first; a quote if both came at once."""
        quote = self._steps.first_since(start_ns)
        if quote is None:
            return self._prints.first_since(start_ns, None)
        trade = self._prints.first_since(start_ns, quote[0])
        return quote[1] if trade is None else trade

    def spread(self, end_ns: int) -> float | None:
        """Ask − bid in USDC per share, ``None`` without a valid quote that is young enough."""
        bid, ask, _, _ = self.top
        return (ask - bid) / PRICE_SCALE if bid and end_ns - self.quoted_ns <= QUOTE_AGE_NS else None

    def _clipped(self, value: float | None) -> float | None:
        return None if value is None else max(-self._limit, min(self._limit, value))


def _largest_logit(tick: int) -> float:
    """Of the price half a tick below 1."""
    return logit(2 * PRICE_SCALE - tick, tick)
