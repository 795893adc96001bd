"""The reference engine: the shortest way from a text to a score that was found, as a prototype would be written.

Messages are decoded by msgspec into a tagged union with only the fields that are needed. The book is two arrays by
tick of 0.001, Up's bids and asks, and a price becomes a tick by one look-up of its text; the touch is what the venue
states. Trades enter a deque and running sums, and the original score is read off the sums.

It checks nothing: no price, no size, no id, no depth, no repeated print, no gap, no other market. It never says how
old or how whole what it says is. ``LazyReference`` leaves out what it need not see of two tokens that mirror each
other: the levels of a second snapshot of one moment stay undecoded, and of each level change it reads Up's side alone.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

import msgspec
from msgspec import Raw, Struct

from tests.bench.speed.original import FLOW_WEIGHT, MOMENTUM_WEIGHT, WHALE_SHARES, WHALE_WEIGHT, TwoTokens

TICKS: Final = 1000
WINDOW_NS: Final = 120_000_000_000


def _spellings(tick: int) -> set[str]:
    return {f"{tick / TICKS:.3f}", f"{tick / TICKS:g}", f"{tick / TICKS:g}".removeprefix("0") or "0"}


UP_TICKS: Final = {text: tick for tick in range(TICKS + 1) for text in _spellings(tick)}
UP_TICKS.update({f"{hundredth / 100:.2f}": hundredth * 10 for hundredth in range(101)})
DOWN_TICKS: Final = {text: TICKS - tick for text, tick in UP_TICKS.items()}


class Level(Struct, gc=False):
    """A price and the shares at it."""

    price: str
    size: float


class Book(Struct, gc=False, tag_field="event_type", tag="book"):
    """A snapshot of one token."""

    asset_id: str
    bids: list[Level]
    asks: list[Level]


class LazyBook(Struct, gc=False, tag_field="event_type", tag="book"):
    """A snapshot whose levels are decoded when they are wanted."""

    asset_id: str
    timestamp: str
    bids: Raw
    asks: Raw


class Change(Struct, gc=False):
    """A new size of one level, and the touch after it."""

    asset_id: str
    price: str
    size: float
    side: str
    best_bid: str
    best_ask: str


class Changes(Struct, gc=False, tag_field="event_type", tag="price_change"):
    """Level changes of one moment."""

    price_changes: list[Change]


class Trade(Struct, gc=False, tag_field="event_type", tag="last_trade_price"):
    """A trade."""

    asset_id: str
    price: float
    size: float


class Top(Struct, gc=False, tag_field="event_type", tag="best_bid_ask"):
    """The touch of one token."""

    asset_id: str
    best_bid: str
    best_ask: str


_decode: Final = msgspec.json.Decoder(
    Book | Changes | Trade | Top | list[Book | Changes | Trade | Top], strict=False
).decode
_decode_lazy: Final = msgspec.json.Decoder(
    LazyBook | Changes | Trade | Top | list[LazyBook | Changes | Trade | Top], strict=False
).decode
_levels: Final = msgspec.json.Decoder(list[Level], strict=False).decode


class AnyReference(Protocol):
    """Either of the two."""

    def message(self, text: str, at_ns: int) -> bool:
        """Take in one text; whether a trade was in it."""

    def score(self, at_ns: int) -> tuple[float, float]:
        """Score and confidence."""


class Reference:
    """One market; every book is decoded and applied, and every level change from both sides."""

    def __init__(self, market: TwoTokens) -> None:
        self._up = market.up_asset_id
        self._bids = [0.0] * (TICKS + 1)
        self._asks = [0.0] * (TICKS + 1)
        self._bid = 0
        self._ask = TICKS
        self._trades: deque[tuple[int, bool, float, float]] = deque()
        self._up_prices: deque[float] = deque()
        self._up_shares = self._down_shares = 0.0
        self._up_whales = self._down_whales = 0
        self._connected_ns = 0

    def message(self, text: str, at_ns: int) -> bool:
        """Take in one text; whether a trade was in it."""
        message = _decode(text)
        kind = type(message)
        if kind is Changes:
            self._change(message)
            return False
        if kind is Trade:
            self._trade(message, at_ns)
            return True
        if kind is list:
            self._connected_ns = at_ns
        for one in message if kind is list else (message,):
            if type(one) is Book:
                self._snapshot(one.asset_id == self._up, one.bids, one.asks)
            elif type(one) is Top:
                self._top(one.asset_id == self._up, one.best_bid, one.best_ask)
        return False

    def score(self, at_ns: int) -> tuple[float, float]:
        """The original score of the window that ends now, and its confidence."""
        self._evict(at_ns - WINDOW_NS)
        prices, number = self._up_prices, len(self._trades)
        momentum = flow = whale = 0.0
        if len(prices) >= 2:
            momentum = max(-1.0, min(1.0, (prices[-1] - prices[0]) / prices[0] * 10))
        if number:
            flow = (self._up_shares - self._down_shares) / (self._up_shares + self._down_shares)
        whales = self._up_whales + self._down_whales
        if whales:
            whale = (self._up_whales - self._down_whales) / whales
        confidence = min(number / 50, 1.0) * min((at_ns - self._connected_ns) / WINDOW_NS, 1.0)
        score = MOMENTUM_WEIGHT * momentum + FLOW_WEIGHT * flow + WHALE_WEIGHT * whale
        return score, confidence * 0.5 if number < 10 else confidence

    def imbalance(self) -> float:
        """Of the ten levels next to the touch on both sides."""
        bid = sum(self._bids[max(self._bid - 9, 0) : self._bid + 1])
        ask = sum(self._asks[self._ask : self._ask + 10])
        return (bid - ask) / (bid + ask) if bid + ask else 0.0

    def _change(self, message: Changes) -> None:
        for change in message.price_changes:
            if change.asset_id == self._up:
                (self._bids if change.side == "BUY" else self._asks)[UP_TICKS[change.price]] = change.size
                self._bid, self._ask = UP_TICKS[change.best_bid], UP_TICKS[change.best_ask]
            else:
                (self._asks if change.side == "BUY" else self._bids)[DOWN_TICKS[change.price]] = change.size

    def _snapshot(self, is_up: bool, own: list[Level], other: list[Level]) -> None:
        ticks = UP_TICKS if is_up else DOWN_TICKS
        bids, asks = [0.0] * (TICKS + 1), [0.0] * (TICKS + 1)
        own_side, other_side = (bids, asks) if is_up else (asks, bids)
        for level in own:
            own_side[ticks[level.price]] = level.size
        for level in other:
            other_side[ticks[level.price]] = level.size
        self._bids, self._asks = bids, asks
        if own and other:
            self._top(is_up, own[-1].price, other[-1].price)

    def _top(self, is_up: bool, bid: str, ask: str) -> None:
        self._bid, self._ask = (UP_TICKS[bid], UP_TICKS[ask]) if is_up else (DOWN_TICKS[ask], DOWN_TICKS[bid])

    def _trade(self, trade: Trade, at_ns: int) -> None:
        is_up = trade.asset_id == self._up
        self._trades.append((at_ns, is_up, trade.price, trade.size))
        self._count(is_up, trade.size, 1)
        if is_up:
            self._up_prices.append(trade.price)
        self._evict(at_ns - WINDOW_NS)

    def _evict(self, start_ns: int) -> None:
        trades = self._trades
        while trades and trades[0][0] < start_ns:
            _, is_up, _, size = trades.popleft()
            self._count(is_up, size, -1)
            if is_up:
                self._up_prices.popleft()

    def _count(self, is_up: bool, size: float, sign: int) -> None:
        if is_up:
            self._up_shares += sign * size
            self._up_whales += sign * (size > WHALE_SHARES)
        else:
            self._down_shares += sign * size
            self._down_whales += sign * (size > WHALE_SHARES)


class LazyReference(Reference):
    """One market, of which nothing is looked at twice."""

    def __init__(self, market: TwoTokens) -> None:
        super().__init__(market)
        self._seen = ("", "")

    def message(self, text: str, at_ns: int) -> bool:
        """Take in one text; whether a trade was in it."""
        message = _decode_lazy(text)
        kind = type(message)
        if kind is Changes:
            self._change(message)
            return False
        if kind is Trade:
            self._trade(message, at_ns)
            return True
        if kind is list:
            self._connected_ns = at_ns
        for one in message if kind is list else (message,):
            if type(one) is LazyBook:
                self._book(one)
            elif type(one) is Top:
                self._top(one.asset_id == self._up, one.best_bid, one.best_ask)
        return False

    def _book(self, book: LazyBook) -> None:
        """A second token's snapshot of the same moment says the same."""
        stamp, asset_id = self._seen
        if book.timestamp == stamp and book.asset_id != asset_id:
            return
        self._seen = (book.timestamp, book.asset_id)
        self._snapshot(book.asset_id == self._up, _levels(book.bids), _levels(book.asks))

    def _change(self, message: Changes) -> None:
        for change in message.price_changes:
            if change.asset_id == self._up:
                (self._bids if change.side == "BUY" else self._asks)[UP_TICKS[change.price]] = change.size
                self._bid, self._ask = UP_TICKS[change.best_bid], UP_TICKS[change.best_ask]
