"""A market on a bench: trades and quotes go in by hand, views come out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from attrs import evolve, frozen

from engine.events import Trade
from engine.features import Features, MarketView
from engine.markets import Outcome, Side
from engine.units import NS_PER_MS, PRICE_SCALE, price_ticks, size_units, to_ns
from engine.window import TradeWindow, WindowTrade

UP, DOWN = Outcome.UP, Outcome.DOWN
BUY, SELL = Side.BUY, Side.SELL

START_NS = 1_800_000_000_000_000_000
WINDOW_S = 120.0
MARKET = "0x" + "ab" * 32


@frozen(kw_only=True)
class Fill:
    """One print: receipt in seconds from the start, prices in ticks, sizes in micro-shares."""

    at_s: float
    outcome: Outcome = UP
    side: Side | None = BUY
    price: int
    units: int
    happened_s: float | None = None
    transaction_hash: str | None = None

    @property
    def complement(self) -> Fill:
        """The same fill as a print of the other token."""
        side = None if self.side is None else self.side.other
        return evolve(self, outcome=self.outcome.other, side=side, price=PRICE_SCALE - self.price)

    @property
    def mirror(self) -> Fill:
        """The fill of the market in which Up and Down have changed places."""
        return evolve(self, outcome=self.outcome.other)

    @property
    def yes_price(self) -> int:
        return self.price if self.outcome is UP else PRICE_SCALE - self.price

    @property
    def direction(self) -> int:
        if self.side is None:
            return 0
        return 1 if (self.outcome is UP) is (self.side is BUY) else -1


class Bench:
    """One market with its window; every fill has its own transaction unless it names one."""

    def __init__(self, *, window_s: float = WINDOW_S, tick: int = 100, order_flow: bool = False) -> None:
        self.window_ns = to_ns(window_s)
        self.trades = TradeWindow()
        self.features = Features(window_ns=self.window_ns, tick=tick, order_flow=order_flow)
        self._serial = count(1)

    def fill(self, fill: Fill) -> WindowTrade | None:
        at_ns = START_NS + to_ns(fill.at_s)
        happened_ns = at_ns if fill.happened_s is None else START_NS + to_ns(fill.happened_s)
        event = Trade(
            market=MARKET,
            asset_id="1" if fill.outcome is UP else "2",
            side=fill.side,
            price=fill.price,
            size=fill.units,
            venue_ms=happened_ns // NS_PER_MS,
            transaction_hash=fill.transaction_hash or f"0x{next(self._serial):064x}",
        )
        trade = self.trades.add(event, fill.outcome, at_ns)
        if trade is not None:
            self.features.trade(trade)
        return trade

    def trade(self, at_s: float, outcome: Outcome, side: Side | None, price: str, shares: str = "1") -> None:
        self.fill(Fill(at_s=at_s, outcome=outcome, side=side, price=price_ticks(price), units=size_units(shares)))

    def quote(self, at_s: float, bid: str, ask: str, bid_shares: str = "0", ask_shares: str = "0") -> None:
        self.features.quote(
            START_NS + to_ns(at_s), price_ticks(bid), price_ticks(ask), size_units(bid_shares), size_units(ask_shares)
        )

    def no_quote(self, at_s: float) -> None:
        self.features.no_quote(START_NS + to_ns(at_s))

    def view(self, end_s: float = WINDOW_S, *, coverage: float = 1.0, age_s: float | None = 0.0) -> MarketView:
        """What a scorer sees at ``end_s``."""
        end_ns = START_NS + to_ns(end_s)
        start_ns = end_ns - self.window_ns
        self.trades.evict(start_ns)
        self.features.evict(start_ns)
        return MarketView(
            start_ns=start_ns,
            end_ns=end_ns,
            coverage=coverage,
            age_s=age_s,
            trades=self.trades,
            features=self.features,
        )


def view_of(fills: Sequence[Fill], *, end_s: float = WINDOW_S, coverage: float = 1.0) -> MarketView:
    """The view of a window that received ``fills`` and no quote."""
    bench = Bench()
    for fill in fills:
        bench.fill(fill)
    return bench.view(end_s, coverage=coverage)
