"""Typed events of the venue's market channel, as values.

Prices are ticks of 0.0001 USDC, sizes micro-shares, ``venue_ms`` the venue's own stamp in epoch milliseconds (0 when it
gave none). They are msgspec structs because they are built for every message. A book level is a plain ``(price, size)``
pair. Unknown types and the venue's plain-text answers are values too.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from engine.markets import Side

Level = tuple[int, int]
"""``(price in ticks, size in micro-shares)``."""


class BookSnapshot(Struct, frozen=True, kw_only=True, gc=False):
    """The whole book of one token; levels in any order, sizes above 0."""

    market: str
    asset_id: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_ms: int
    hash: str = ""
    tick: int | None = None


class LevelChange(Struct, frozen=True, kw_only=True, gc=False):
    """One level of one token set to a new absolute size (0 removes it).

    ``best_bid``/``best_ask`` are the token's top after the whole message, in ticks; ``None`` for an empty side or when
    the message does not say.
    """

    asset_id: str
    side: Side
    price: int
    size: int
    best_bid: int | None = None
    best_ask: int | None = None


class PriceChange(Struct, frozen=True, kw_only=True, gc=False):
    """Level changes of one message, to be applied together."""

    market: str
    changes: tuple[LevelChange, ...]
    venue_ms: int


class Trade(Struct, frozen=True, kw_only=True, gc=False):
    """One taker order as printed under the taker's token; 0 < price < 1 and size > 0 always hold.

    ``side`` is ``None`` when the venue did not say: then it counts as activity, never as direction.
    """

    market: str
    asset_id: str
    side: Side | None
    price: int
    size: int
    venue_ms: int
    transaction_hash: str | None = None


class TickSizeChange(Struct, frozen=True, kw_only=True, gc=False):
    """The price step of a token changed; arrives up to four times for one change."""

    market: str
    asset_id: str
    new_tick: int
    venue_ms: int


class BestBidAsk(Struct, frozen=True, kw_only=True, gc=False):
    """The top of one token's book; ``None`` for an empty side."""

    market: str
    asset_id: str
    best_bid: int | None
    best_ask: int | None
    venue_ms: int


class NewMarket(Struct, frozen=True, kw_only=True, gc=False):
    """A market was announced (a broadcast to everyone, about every market)."""

    market: str
    slug: str
    asset_ids: tuple[str, ...]
    outcomes: tuple[str, ...]
    venue_ms: int


class MarketResolved(Struct, frozen=True, kw_only=True, gc=False):
    """A market was decided; ``winning_asset_id`` decides, the label is for reading."""

    market: str
    winning_asset_id: str
    winning_outcome: str
    venue_ms: int


class UnknownEvent(Struct, frozen=True, kw_only=True, gc=False):
    """A well-formed message of a type this version does not know."""

    event_type: str


class Answer(StrEnum):
    """The venue's plain-text answers."""

    PONG = "PONG"
    INVALID_OPERATION = "INVALID OPERATION"
    NO_NEW_ASSETS = "NO NEW ASSETS"


class TextAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """One of the venue's plain-text answers."""

    answer: Answer


Event = (
    BookSnapshot
    | PriceChange
    | Trade
    | TickSizeChange
    | BestBidAsk
    | NewMarket
    | MarketResolved
    | UnknownEvent
    | TextAnswer
)
