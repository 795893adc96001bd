"""The shapes of the venue's messages as text, and how each becomes an event.

A shape holds every field that is documented for its type today, whether it is read or not, and refuses all others; so a
message that fits is known to the last byte. Its fields are still the venue's: prices and stamps texts, sizes doubles
of shares. ``event()`` converts them, once, and raises ``ValueError`` for what the protocol does not allow:

* A level price lies strictly inside (0, 1) on the grid of 0.0001; a size lies in 0..1e9 shares and is rounded to whole
  micro-shares.
* Of two levels at one price in a snapshot the later one counts, and a size of 0 removes the level.
* A stated top of ``""``, 0 or 1 says that the side is empty.
* A stamp that makes no sense is 0.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Final

from msgspec import Meta, Struct

from engine.events import (
    BestBidAsk,
    BookSnapshot,
    Level,
    LevelChange,
    MarketResolved,
    NewMarket,
    PriceChange,
    TickSizeChange,
    Trade,
)
from engine.markets import ASSET_ID_PATTERN, CONDITION_ID_PATTERN, Side
from engine.units import MAX_SHARES, PRICE_SCALE, PRICE_TABLE, SIZE_SCALE, price_ticks

MAX_MEMBERS: Final = 10_000
"""Most members of any array."""

MAX_FRAME_BYTES: Final = 1 << 20
MAX_TEXT_BYTES: Final = 1 << 12
MAX_COMMAS: Final = 100_000

_REMEMBERED_IDS: Final = 4096


class _LevelPrices(dict[str, int]):
    """Ticks of every usual spelling of a price inside (0, 1); the unusual ones are parsed."""

    def __missing__(self, text: str) -> int:
        ticks = price_ticks(text)
        if not 0 < ticks < PRICE_SCALE:
            raise ValueError(f"price not inside (0, 1): {text!r}")
        return ticks


class _TopPrices(dict[str, int | None]):
    """The same for a stated top of book, ``None`` for an empty side."""

    def __missing__(self, text: str) -> int | None:
        ticks = price_ticks(text)
        return ticks if 0 < ticks < PRICE_SCALE else None


_LEVEL_PRICES: Final = _LevelPrices({text: ticks for text, ticks in PRICE_TABLE.items() if 0 < ticks < PRICE_SCALE})
_TOP_PRICES: Final = _TopPrices({**_LEVEL_PRICES, "": None, "0": None, "1": None})

_is_condition_id: Final = re.compile(CONDITION_ID_PATTERN).fullmatch
_is_asset_id: Final = re.compile(ASSET_ID_PATTERN).fullmatch


# The same few ids come with every message, and remembering a checked one is far cheaper than checking it again.
@lru_cache(maxsize=_REMEMBERED_IDS)
def condition_id(text: str) -> str:
    """A condition id in lower case; raises ``ValueError`` unless it is ``0x`` and 64 hex digits."""
    lowered = text.lower()
    if _is_condition_id(lowered) is None:
        raise ValueError(f"not a condition id: {text[:80]!r}")
    return lowered


@lru_cache(maxsize=_REMEMBERED_IDS)
def asset_id(text: str) -> str:
    """A token id as it is; raises ``ValueError`` unless it is 1 to 78 decimal digits."""
    if _is_asset_id(text) is None:
        raise ValueError(f"not a token id: {text[:80]!r}")
    return text


_stamp: Final = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))?").fullmatch
_SECONDS_BELOW: Final = 10**11
# Bounds of stamps in milli-, micro- and nanoseconds: each unit is told from the next until the year 5138.
_STAMP_DIVISORS: Final = ((10**14, 1), (10**17, 1_000), (10**20, 1_000_000))


def venue_ms(text: str) -> int:
    """Epoch milliseconds of a stamp in s, ms, µs or ns, told apart by magnitude; 0 for anything else."""
    if len(text) == 13 and text.isdigit() and text.isascii():
        return int(text)
    match = _stamp(text)
    if match is None:
        return 0
    value, fraction = int(match[1]), match[2] or ""
    if value < _SECONDS_BELOW:
        return value * 1000 + int(f"{fraction:0<3.3}")
    return value // next(divisor for bound, divisor in _STAMP_DIVISORS if value < bound)


def price_step(text: str) -> int:
    """Ticks of a price step; raises ``ValueError`` unless it lies inside (0, 1) and divides 1 USDC."""
    ticks = _LEVEL_PRICES[text]
    if PRICE_SCALE % ticks:
        raise ValueError(f"not a price step: {text!r}")
    return ticks


def may_hold_long_text(text: str) -> bool:
    """Whether an ASCII frame is too long, or holds more characters between two quotation marks than a text may.

    It leaps from mark to mark, as far as a text may reach, and so looks at next to nothing of an ordinary frame. An
    escaped mark would mislead it: a frame with any escape counts as well.
    """
    if len(text) > MAX_FRAME_BYTES or "\\" in text:
        return True
    reach = MAX_TEXT_BYTES
    while reach < len(text):
        mark = text.rfind('"', reach - MAX_TEXT_BYTES, reach + 1)
        if mark < 0:
            return True
        reach = mark + 1 + MAX_TEXT_BYTES
    return False


# A double holds a billion shares to six decimals with less than half a micro-share of error: rounding is exact.
_UNITS_PER_SHARE: Final = float(SIZE_SCALE)

Size = Annotated[float, Meta(ge=0, le=MAX_SHARES)]
"""Shares, as a double."""


class LevelShape(Struct, gc=False, kw_only=True, forbid_unknown_fields=True):
    """One level of a snapshot."""

    price: str
    size: Size


class ChangeShape(LevelShape, gc=False, kw_only=True, forbid_unknown_fields=True):
    """One entry of a ``price_change``."""

    asset_id: str
    side: Side
    hash: str = ""
    best_bid: str = ""
    best_ask: str = ""


class _Message(Struct, gc=False, kw_only=True, forbid_unknown_fields=True, tag_field="event_type"):
    market: str
    timestamp: str = ""


_Levels = Annotated[list[LevelShape], Meta(max_length=MAX_MEMBERS)]


class BookShape(_Message, tag="book"):
    """The whole book of one token."""

    asset_id: str
    bids: _Levels
    asks: _Levels
    hash: str = ""
    tick_size: str = ""
    last_trade_price: str = ""

    def event(self) -> BookSnapshot:
        """The message as a value."""
        return BookSnapshot(
            market=condition_id(self.market),
            asset_id=asset_id(self.asset_id),
            bids=_levels(self.bids),
            asks=_levels(self.asks),
            venue_ms=venue_ms(self.timestamp),
            hash=self.hash,
            tick=price_step(self.tick_size) if self.tick_size else None,
        )


def _levels(rows: list[LevelShape]) -> tuple[Level, ...]:
    levels = {_LEVEL_PRICES[row.price]: round(row.size * _UNITS_PER_SHARE) for row in rows}
    if all(levels.values()):
        return tuple(levels.items())
    return tuple(level for level in levels.items() if level[1])


class PriceChangeShape(_Message, tag="price_change"):
    """New sizes of levels, for either token."""

    price_changes: Annotated[list[ChangeShape], Meta(max_length=MAX_MEMBERS)]

    def event(self) -> PriceChange:
        """The message as a value."""
        # Nine messages of ten are of this type: no call that could be spared.
        changes = [
            LevelChange(
                asset_id=asset_id(row.asset_id),
                side=row.side,
                price=_LEVEL_PRICES[row.price],
                size=round(row.size * _UNITS_PER_SHARE),
                best_bid=_TOP_PRICES[row.best_bid],
                best_ask=_TOP_PRICES[row.best_ask],
            )
            for row in self.price_changes
        ]
        return PriceChange(market=condition_id(self.market), changes=tuple(changes), venue_ms=venue_ms(self.timestamp))


class LastTradePriceShape(_Message, tag="last_trade_price"):
    """One taker order."""

    asset_id: str
    price: str
    size: Size
    side: Side | None = None
    fee_rate_bps: str = ""
    transaction_hash: str = ""

    def event(self) -> Trade:
        """The message as a value."""
        size = round(self.size * _UNITS_PER_SHARE)
        if not size:
            raise ValueError(f"trade of nothing: {self.size}")
        return Trade(
            market=condition_id(self.market),
            asset_id=asset_id(self.asset_id),
            side=self.side,
            price=_LEVEL_PRICES[self.price],
            size=size,
            venue_ms=venue_ms(self.timestamp),
            transaction_hash=self.transaction_hash or None,
        )


class TickSizeChangeShape(_Message, tag="tick_size_change"):
    """A new price step of one token."""

    asset_id: str
    new_tick_size: str
    old_tick_size: str = ""

    def event(self) -> TickSizeChange:
        """The message as a value."""
        return TickSizeChange(
            market=condition_id(self.market),
            asset_id=asset_id(self.asset_id),
            new_tick=price_step(self.new_tick_size),
            venue_ms=venue_ms(self.timestamp),
        )


class BestBidAskShape(_Message, tag="best_bid_ask"):
    """The top of one token's book."""

    asset_id: str
    best_bid: str = ""
    best_ask: str = ""
    spread: str = ""

    def event(self) -> BestBidAsk:
        """The message as a value."""
        return BestBidAsk(
            market=condition_id(self.market),
            asset_id=asset_id(self.asset_id),
            best_bid=_TOP_PRICES[self.best_bid],
            best_ask=_TOP_PRICES[self.best_ask],
            venue_ms=venue_ms(self.timestamp),
        )


class NewMarketShape(_Message, tag="new_market"):
    """The announcement of a market; only what is read of its many fields."""

    slug: str
    assets_ids: list[str]
    outcomes: list[str]

    def event(self) -> NewMarket:
        """The message as a value."""
        return NewMarket(
            market=condition_id(self.market),
            slug=self.slug,
            asset_ids=tuple([asset_id(text) for text in self.assets_ids]),
            outcomes=tuple(self.outcomes),
            venue_ms=venue_ms(self.timestamp),
        )


class MarketResolvedShape(_Message, tag="market_resolved"):
    """The outcome of a market; only what is read of its fields."""

    winning_asset_id: str
    winning_outcome: str = ""

    def event(self) -> MarketResolved:
        """The message as a value."""
        return MarketResolved(
            market=condition_id(self.market),
            winning_asset_id=asset_id(self.winning_asset_id),
            winning_outcome=self.winning_outcome,
            venue_ms=venue_ms(self.timestamp),
        )


BusyShape = BookShape | PriceChangeShape | LastTradePriceShape | TickSizeChangeShape | BestBidAskShape
"""The types that make up the traffic, with every field the venue sends."""

SHAPES: Final[dict[str, type[BusyShape | NewMarketShape | MarketResolvedShape]]] = {
    "book": BookShape,
    "price_change": PriceChangeShape,
    "last_trade_price": LastTradePriceShape,
    "tick_size_change": TickSizeChangeShape,
    "best_bid_ask": BestBidAskShape,
    "new_market": NewMarketShape,
    "market_resolved": MarketResolvedShape,
}
"""The shape of every known ``event_type``."""

ROW_SHAPES: Final[dict[str, type[LevelShape]]] = {
    "bids": LevelShape,
    "asks": LevelShape,
    "price_changes": ChangeShape,
}
"""The shape of the members of every list of objects, by the name of the list."""
