"""Features of one market over its window: what the ``corrected`` formulas read beyond the trade window.

Every part takes events as they come and forgets them as the window moves; a reading costs the same whether the market
is quiet or busy. Parts read YES-equivalent prices and YES directions only, so a trade and its complement (other token,
1 − price, other side) leave the same trace, bit for bit. The exceptions are what is paid in USDC, which differs.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from engine.imbalance import DepthImbalance, OrderFlowImbalance
from engine.orders import Orders
from engine.quotes import NO_TOP, FairPrice
from engine.units import NS_PER_MS, NS_PER_S
from engine.volatility import LogitVolatility
from engine.whales import LARGE_UNITS, LargeOrders, SizeBaseline, WhaleUnit, price_band
from engine.window import TradeWindow, WindowTrade

CLOCK_TOLERANCE_NS: Final = 10 * NS_PER_S
"""A venue stamp further than this from the receipt is no time of the trade."""

_NEVER: Final = 1 << 63
_IN_DOLLARS: Final = WhaleUnit.USD_PAID


class Features:
    """Features of a window of ``window_ns``; ``tick`` is the market's price step in ticks.

    Times are epoch nanoseconds that never run backwards. ``order_flow`` switches the order-flow imbalance on, which
    then keeps an entry for every change of the touch.
    """

    __slots__ = ("_depth", "_large", "_quiet_until_ns", "_sizes", "fair", "order_flow", "orders", "volatility")

    def __init__(self, *, window_ns: int, tick: int, order_flow: bool = False) -> None:
        self.fair = FairPrice(tick=tick)
        self.orders = Orders(window_ns=window_ns)
        self.volatility = LogitVolatility()
        self.order_flow = OrderFlowImbalance() if order_flow else None
        # Until then a quote that says the same again does nothing but grow no older.
        self._quiet_until_ns = 0
        self._large = LargeOrders()
        self._sizes = SizeBaseline()
        self._depth = DepthImbalance()

    def trade(self, trade: WindowTrade) -> None:
        """A trade that the window took in."""
        event_ns, size = _event_ns(trade), trade.size
        self.fair.trade(trade.at_ns, event_ns, trade.yes_price)
        order = self.orders.add(
            trade.at_ns,
            event_ns,
            direction=trade.direction,
            units=size,
            price=trade.price,
            yes_price=trade.yes_price,
            transaction_hash=trade.transaction_hash,
        )
        units, paid, up_notional = order.units, order.paid, order.up_notional
        if units < LARGE_UNITS:
            return
        if units - size >= LARGE_UNITS:
            self._large.remove(
                order.direction, units - size, paid - trade.price * size, up_notional - trade.yes_price * size
            )
        self._large.add(order.direction, units, paid, up_notional)

    def quote(self, at_ns: int, bid: int, ask: int, bid_size: int, ask_size: int) -> None:
        """Up's best bid and ask as last stated, in ticks and micro-shares (sizes 0 when unknown)."""
        fair = self.fair
        if at_ns < self._quiet_until_ns and fair.top == (bid, ask, bid_size, ask_size):
            fair.quoted_ns = at_ns
            return
        logit = fair.quote(at_ns, bid, ask, bid_size, ask_size)
        if logit is None:
            self.volatility.interrupt()
            self._quiet_until_ns = _NEVER
        else:
            self.volatility.observe(at_ns, logit)
            self._quiet_until_ns = self.volatility.due_ns
        if self.order_flow is not None:
            self.order_flow.quote(at_ns, bid, ask, bid_size, ask_size)

    def again(self, at_ns: int) -> None:
        """The valid quote that was stated last, or that there is none, is said again."""
        if at_ns < self._quiet_until_ns:
            self.fair.quoted_ns = at_ns
        elif self.fair.top != NO_TOP:
            self.quote(at_ns, *self.fair.top)

    def no_quote(self, at_ns: int) -> None:
        """There is no valid quote from now on."""
        self.fair.no_quote(at_ns)
        self.volatility.interrupt()
        self._interrupt()

    def pressure(self, at_ns: int, bid: float, ask: float) -> None:
        """Weighted depth of both sides of a clean book from now on; only fed when a preset asks for it."""
        self._depth.put(at_ns, bid, ask)

    def no_pressure(self, at_ns: int) -> None:
        """The book may not be read from now on."""
        self._depth.clear(at_ns)

    def gap(self, at_ns: int) -> None:
        """A reconnect, or the book was dropped: what comes is not compared with what was."""
        self.no_quote(at_ns)
        self.no_pressure(at_ns)

    def snapshot(self, at_ns: int) -> None:
        """The next quote is from a snapshot, whose changes are no order flow."""
        self._interrupt()

    def tick_size(self, tick: int) -> None:
        """The market's price step became ``tick``."""
        self.fair.tick_size(tick)
        self._interrupt()

    def evict(self, start_ns: int) -> None:
        """Move the start of the window; starts never run backwards."""
        self.fair.evict(start_ns)
        for order in self.orders.evict(start_ns):
            units = order.units
            self._sizes.add(order.at_ns, price_band(order.up_notional, units), units)
            if units >= LARGE_UNITS:
                self._large.remove(order.direction, units, order.paid, order.up_notional)
        self._sizes.evict(start_ns)
        if self.order_flow is not None:
            self.order_flow.evict(start_ns)

    def whales(self, unit: WhaleUnit, *, multiple: float, floor_units: float) -> tuple[int, int]:
        """Whales of the window toward Up and away from it; orders of unknown direction are none.

        In shares, a whale has at least ``floor_units`` micro-shares (from 1,000 shares on) and at least ``multiple``
        times the 99th percentile of its price band in the hour before the window, once that is known.
        """
        return self._large.paid() if unit is _IN_DOLLARS else self._large.at_least(self._sizes, multiple, floor_units)

    def depth_imbalance(self, end_ns: int) -> float | None:
        """Time-weighted depth imbalance of the last 10 s, −1..+1, ``None`` if the book may not be read."""
        return self._depth.mean(end_ns)

    def _interrupt(self) -> None:
        self._quiet_until_ns = 0
        if self.order_flow is not None:
            self.order_flow.interrupt()


class MarketView(Struct, frozen=True, kw_only=True):
    """What a scorer may read at a deadline: nothing received at or after ``end_ns``.

    The window is ``[start_ns, end_ns)``, ``coverage`` the share of it truly covered (0..1), ``age_s`` the seconds since
    the last application event.
    """

    start_ns: int
    end_ns: int
    coverage: float
    age_s: float | None
    trades: TradeWindow
    features: Features


def _event_ns(trade: WindowTrade) -> int:
    stated_ns = trade.venue_ms * NS_PER_MS
    return stated_ns if abs(stated_ns - trade.at_ns) <= CLOCK_TOLERANCE_NS else trade.at_ns
