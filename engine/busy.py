"""The messages that make up the traffic, read straight into ticks: level changes, trades, and books after a trade.

A frame that ends as the venue ends these is decoded without looking for its type first, prices become ticks inside the
decoder, and the levels of a book stay unread until somebody needs them. Only frames exactly as documented today are
read here, to the last field; ``read`` answers ``None`` for all others, which :mod:`engine.wire` reads with patience.

What is read here is not judged to the end: the ids are any texts until ``event()`` looks at them, and levels are only
known to be JSON until ``ladders()`` or ``event()`` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from engine.events import BookSnapshot, Level, LevelChange, PriceChange, Trade
from engine.markets import Side
from engine.shapes import (
    MAX_COMMAS,
    MAX_TEXT_BYTES,
    Size,
    asset_id,
    condition_id,
    may_hold_long_text,
    venue_ms,
)
from engine.units import MAX_SHARES, PRICE_SCALE, PRICE_TABLE, SIZE_SCALE

_CHANGE_END: Final = '"event_type":"price_change"}'
_BOOK_END: Final = '"event_type":"book"}'
_TRADE_NEAR_END: Final = '"event_type":"last_trade_price","transaction_hash":"0x'
_TRADE_PLACE: Final = slice(-len(_TRADE_NEAR_END) - 64 - len('"}'), -64 - len('"}'))

_UNITS_PER_SHARE: Final = float(SIZE_SCALE)

_LONGEST_LEVEL: Final = 96
"""Bytes that hold any documented level, whose size has at most 16 digits, with its brackets."""

SHORT: Final = MAX_TEXT_BYTES // 4
"""Characters of a frame in which no text can be too long, whatever the characters."""

CHANGE_LETTER: Final = _CHANGE_END[-4]
"""What is fourth from the end of a level change, and of nothing else that comes often: the first thing to look at."""


def _texts_of(table: Mapping[str, int]) -> Any:
    """A type whose values the decoder finds in a table, by their texts, without making a string of any.

    For the decoder an enumeration is this mapping from texts to whatever they stand for; here, to integers.
    """
    texts = Enum("texts", {"any": ""})
    texts._value2member_map_ = dict(table)  # type: ignore[arg-type]
    return texts


_INSIDE: Final = {text: ticks for text, ticks in PRICE_TABLE.items() if 0 < ticks < PRICE_SCALE}

if TYPE_CHECKING:
    LevelTicks = int
    OppositeTicks = int
    TopTicks = int
else:
    LevelTicks = _texts_of(_INSIDE)
    OppositeTicks = _texts_of({text: PRICE_SCALE - ticks for text, ticks in _INSIDE.items()})
    TopTicks = _texts_of(PRICE_TABLE)


# Trades and books of nothing, which the venue does not send, are left to those with patience.
_Something = Annotated[float, Meta(ge=1 / SIZE_SCALE, le=MAX_SHARES)]


class ChangeRow(Struct, gc=False, forbid_unknown_fields=True):
    """One entry of a level change; prices in ticks, ``size`` in shares, a stated top of 0 or 1 USDC for an empty side.

    Fields stand in the venue's order, which is the fastest.
    """

    asset_id: str
    price: LevelTicks
    size: Size
    side: Side
    hash: str
    best_bid: TopTicks
    best_ask: TopTicks


class ChangeMessage(Struct, gc=False, forbid_unknown_fields=True):
    """A ``price_change`` as documented today."""

    market: str
    price_changes: list[ChangeRow]
    timestamp: str
    event_type: Literal["price_change"]

    def event(self) -> PriceChange:
        """The message as a value. Raises ``ValueError`` for an id that is none."""
        changes = [
            LevelChange(
                asset_id=asset_id(row.asset_id),
                side=row.side,
                price=row.price,
                size=round(row.size * _UNITS_PER_SHARE),
                best_bid=row.best_bid if 0 < row.best_bid < PRICE_SCALE else None,
                best_ask=row.best_ask if 0 < row.best_ask < PRICE_SCALE else None,
            )
            for row in self.price_changes
        ]
        return PriceChange(market=condition_id(self.market), changes=tuple(changes), venue_ms=venue_ms(self.timestamp))


class TradeMessage(Struct, gc=False, forbid_unknown_fields=True):
    """A ``last_trade_price`` as documented today; the price in ticks, ``size`` in shares."""

    market: str
    asset_id: str
    price: LevelTicks
    size: _Something
    fee_rate_bps: str
    side: Side
    timestamp: str
    event_type: Literal["last_trade_price"]  # not the last field, so that another one could follow
    transaction_hash: str

    def event(self) -> Trade:
        """The message as a value. Raises ``ValueError`` for an id that is none."""
        return Trade(
            market=condition_id(self.market),
            asset_id=asset_id(self.asset_id),
            side=self.side,
            price=self.price,
            size=round(self.size * _UNITS_PER_SHARE),
            venue_ms=venue_ms(self.timestamp),
            transaction_hash=self.transaction_hash or None,
        )


class _Row(Struct, gc=False, forbid_unknown_fields=True):
    price: LevelTicks
    size: _Something


class _OppositeRow(Struct, gc=False, forbid_unknown_fields=True):
    price: OppositeTicks
    size: _Something


_read_rows: Final = Decoder(list[_Row], strict=False).decode
_read_row: Final = Decoder(_Row, strict=False).decode
_read_opposite_rows: Final = Decoder(list[_OppositeRow], strict=False).decode
_read_opposite_row: Final = Decoder(_OppositeRow, strict=False).decode

Ladder = dict[int, float]
"""Shares by price in ticks, in the order of the message."""


class BookMessage(Struct, gc=False, forbid_unknown_fields=True):
    """A ``book`` as it follows a trade, its levels unread."""

    market: str
    asset_id: str
    timestamp: str
    hash: str
    bids: Raw
    asks: Raw
    event_type: str

    def event(self) -> BookSnapshot:
        """The message as a value. Raises ``ValueError`` for ids and levels that are none."""
        bids, opposite = self.ladders()
        return BookSnapshot(
            market=condition_id(self.market),
            asset_id=asset_id(self.asset_id),
            bids=tuple([(price, _units(size)) for price, size in bids.items()]),
            asks=tuple([(PRICE_SCALE - price, _units(size)) for price, size in opposite.items()]),
            venue_ms=venue_ms(self.timestamp),
            hash=self.hash,
        )

    def ladders(self) -> tuple[Ladder, Ladder]:
        """The bids of this token, and its asks as the bids of the other one; of two at one price the later one counts.

        Raises ``ValueError``, also for a level of less than a micro-share.
        """
        bids, asks = _read_rows(self.bids), _read_opposite_rows(self.asks)
        return {row.price: row.size for row in bids}, {row.price: row.size for row in asks}

    def tops(self) -> tuple[Level | None, Level | None]:
        """Price and micro-shares of the last bid and the last ask, which are the best ones as the venue sorts them.

        ``None`` for an empty side; an ask comes as the other token's bid. Raises ``ValueError``.
        """
        return _last(self.bids, _read_row), _last(self.asks, _read_opposite_row)

    def mirrors(self, other: BookMessage) -> bool:
        """Whether it could be the other token's view of the same book: of one stamp, and each side as long."""
        return (
            self.asset_id != other.asset_id
            and self.timestamp == other.timestamp
            and len(memoryview(self.bids)) == len(memoryview(other.asks))
            and len(memoryview(self.asks)) == len(memoryview(other.bids))
        )


def _units(size: float) -> int:
    return round(size * _UNITS_PER_SHARE)


def _last(levels: Raw, read: Callable[[bytes], Any]) -> Level | None:
    text = memoryview(levels)[-_LONGEST_LEVEL:].tobytes()
    if text == b"[]":
        return None
    row = read(text[text.rfind(b"{") : -1])
    return row.price, _units(row.size)


decode_change: Final = Decoder(ChangeMessage, strict=False).decode
"""The level change of a short frame; raises ``ValueError`` or ``RecursionError`` for one that is none."""

_read_book: Final = Decoder(BookMessage, strict=False).decode
_read_trade: Final = Decoder(TradeMessage, strict=False).decode

BusyMessage = ChangeMessage | BookMessage | TradeMessage


_BOOK_LENGTH: Final = len('{"market":"","asset_id":"","timestamp":"","hash":"","bids":,"asks":,"event_type":"book"}')


def _book_of(text: str) -> BookMessage | None:
    """The frame's book, unless there is more in it than the fields that were kept, or some of it was replaced.

    For what was replaced, like an earlier one of two ``bids``, has been looked at less strictly.
    """
    # That short a frame has neither too many commas nor too many levels.
    if not text.isascii() or len(text) > MAX_COMMAS or may_hold_long_text(text):
        return None
    book = _read_book(text)
    ids = len(book.market) + len(book.asset_id) + len(book.timestamp) + len(book.hash)
    levels = len(memoryview(book.bids)) + len(memoryview(book.asks))
    return book if len(text) == _BOOK_LENGTH + ids + levels else None


def read(text: str) -> BusyMessage | None:
    """The message of a frame of one of these types exactly as documented today, ``None`` for any other frame."""
    try:
        if text.endswith(_CHANGE_END):
            return decode_change(text) if len(text) <= SHORT else None
        if text.endswith(_BOOK_END):
            return _book_of(text)
        if text[_TRADE_PLACE] == _TRADE_NEAR_END:
            return _read_trade(text) if len(text) <= SHORT else None
    except (ValueError, RecursionError):
        pass
    return None
