"""The venue's wire texts of one market, and the hash each book carries.

All numbers are JSON strings and the key order is the venue's. The hash is SHA-1 over the compact JSON of ten fields of
the resulting book, its ``hash`` empty; the stamp inside it is the message's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha1
from typing import Final

from msgspec import Struct

from actors.venue.actions import LevelSet, Take
from actors.venue.listing import Listing
from actors.venue.orderbook import OrderBook, own_price, spell_price, up_side
from actors.venue.titles import tags, title
from engine.markets import Outcome
from engine.units import PRICE_SCALE, size_text

MINIMUM_ORDER: Final = "5"
BOTH: Final = (Outcome.UP, Outcome.DOWN)


class Message(Struct, frozen=True, gc=False):
    """One frame text and who gets it: the subscribers of ``asset_id`` (``None``: of either token), all or only those
    with the custom features on. ``delta`` marks level changes.
    """

    text: str
    asset_id: str | None = None
    custom: bool = False
    delta: bool = False


def last_price_text(price: int | None) -> str:
    """A book's ``last_trade_price``: three decimals, four on the finest grid, empty when nothing ever traded."""
    if price is None:
        return ""
    return f"{price / PRICE_SCALE:.3f}" if price % 10 == 0 else f"{price / PRICE_SCALE:.4f}"


class Renderer:
    """Spells the state and the actions of one market. ``hashes`` off leaves every hash empty."""

    def __init__(self, listing: Listing, book: OrderBook, *, hashes: bool = True) -> None:
        self._listing = listing
        self._book = book
        self._hashes = hashes

    def hash(self, outcome: Outcome, at_ms: int) -> str:
        """The hash of a token's book as it is now, stamped ``at_ms``; empty when hashes are off."""
        if not self._hashes:
            return ""
        book, listing = self._book, self._listing
        bids, asks = book.texts(outcome)
        text = (
            f'{{"market":"{listing.condition_id}","asset_id":"{listing.asset_of(outcome)}","timestamp":"{at_ms}",'
            f'"hash":"","bids":[{bids}],"asks":[{asks}],"min_order_size":"{MINIMUM_ORDER}",'
            f'"tick_size":"{spell_price(book.tick)}","neg_risk":false,"last_trade_price":"{self._last(outcome)}"}}'
        )
        return sha1(text.encode(), usedforsecurity=False).hexdigest()

    def _last(self, outcome: Outcome) -> str:
        last = self._book.last_trade
        return last_price_text(None if last is None else own_price(outcome, last))

    def _head(self, outcome: Outcome, at_ms: int) -> str:
        bids, asks = self._book.texts(outcome)
        return (
            f'"market":"{self._listing.condition_id}","asset_id":"{self._listing.asset_of(outcome)}",'
            f'"timestamp":"{at_ms}","hash":"{self.hash(outcome, at_ms)}","bids":[{bids}],"asks":[{asks}]'
        )

    def initial_book(self, outcome: Outcome) -> str:
        """An element of the first array: stamped with the last change, with tick size and last trade."""
        return (
            f'{{{self._head(outcome, self._book.changed_ms)},"tick_size":"{spell_price(self._book.tick)}",'
            f'"event_type":"book","last_trade_price":"{self._last(outcome)}"}}'
        )

    def rest_book(self, outcome: Outcome) -> str:
        """The body of ``/book``."""
        return (
            f'{{{self._head(outcome, self._book.changed_ms)},"min_order_size":"{MINIMUM_ORDER}",'
            f'"tick_size":"{spell_price(self._book.tick)}","neg_risk":false,"last_trade_price":"{self._last(outcome)}"}}'
        )

    def books(self, at_ms: int) -> list[Message]:
        """The books of both tokens as they follow a trade."""
        return [
            Message(f'{{{self._head(outcome, at_ms)},"event_type":"book"}}', self._listing.asset_of(outcome))
            for outcome in BOTH
        ]

    def price_change(self, change: LevelSet) -> Message:
        """One level of both tokens, the one the order was placed on first; call it after the change."""
        at_ms = change.at_ns // 1_000_000
        size = size_text(change.size)
        entries = ",".join(
            [self._entry(outcome, change, size, at_ms) for outcome in (change.outcome, change.outcome.other)]
        )
        return Message(
            f'{{"market":"{self._listing.condition_id}","price_changes":[{entries}],"timestamp":"{at_ms}",'
            '"event_type":"price_change"}',
            delta=True,
        )

    def _entry(self, outcome: Outcome, change: LevelSet, size: str, at_ms: int) -> str:
        bid, ask = self._top_texts(outcome)
        price = spell_price(own_price(outcome, change.price))
        return (
            f'{{"asset_id":"{self._listing.asset_of(outcome)}","price":"{price}","size":"{size}",'
            f'"side":"{up_side(outcome, change.side)}","hash":"{self.hash(outcome, at_ms)}",'
            f'"best_bid":"{bid}","best_ask":"{ask}"}}'
        )

    def _top_texts(self, outcome: Outcome) -> tuple[str, str]:
        bid, ask = self._book.top(outcome)
        return spell_price(bid or 0), spell_price(PRICE_SCALE if ask is None else ask)

    def best_bid_ask(self, at_ms: int) -> list[Message]:
        """The top of both tokens, for those with the custom features on."""
        return [self._best_bid_ask(outcome, at_ms) for outcome in BOTH]

    def _best_bid_ask(self, outcome: Outcome, at_ms: int) -> Message:
        asset = self._listing.asset_of(outcome)
        bid, ask = self._book.top(outcome)
        spread = spell_price((PRICE_SCALE if ask is None else ask) - (bid or 0))
        bid_text, ask_text = self._top_texts(outcome)
        return Message(
            f'{{"market":"{self._listing.condition_id}","asset_id":"{asset}","best_bid":"{bid_text}",'
            f'"best_ask":"{ask_text}","spread":"{spread}","timestamp":"{at_ms}","event_type":"best_bid_ask"}}',
            asset,
            custom=True,
        )

    def trade(self, take: Take) -> Message:
        """``last_trade_price``, under the taker's token alone."""
        asset = self._listing.asset_of(take.outcome)
        return Message(
            f'{{"market":"{self._listing.condition_id}","asset_id":"{asset}","price":"{spell_price(take.price)}",'
            f'"size":"{size_text(take.size)}","fee_rate_bps":"0","side":"{take.side}",'
            f'"timestamp":"{take.at_ns // 1_000_000}","event_type":"last_trade_price",'
            f'"transaction_hash":"{take.transaction_hash}"}}',
            asset,
        )

    def tick_size_change(self, old_tick: int, new_tick: int, at_ms: int) -> list[Message]:
        """Four messages: both tokens, each twice, as the venue sends them."""
        told = [self._tick_size_change(asset, old_tick, new_tick, at_ms) for asset in self._listing.asset_ids]
        return [message for message in told for _ in range(2)]

    def _tick_size_change(self, asset: str, old_tick: int, new_tick: int, at_ms: int) -> Message:
        return Message(
            f'{{"market":"{self._listing.condition_id}","asset_id":"{asset}","old_tick_size":"{spell_price(old_tick)}",'
            f'"new_tick_size":"{spell_price(new_tick)}","timestamp":"{at_ms}","event_type":"tick_size_change"}}',
            asset,
        )


def market_resolved(listing: Listing, winner: Outcome, at_ms: int) -> Message:
    """``market_resolved``: decide by the winning token's id, not by the label."""
    assets = _strings(listing.asset_ids)
    return Message(
        f'{{"id":"{listing.gamma_id}","market":"{listing.condition_id}","assets_ids":[{assets}],'
        f'"winning_asset_id":"{listing.asset_of(winner)}","winning_outcome":"{winner}","event_message":null,'
        f'"timestamp":"{at_ms}","event_type":"market_resolved","tags":[{_strings(tags(listing))}]}}',
        custom=True,
    )


def new_market(listing: Listing, at_ms: int) -> Message:
    """``new_market``, the broadcast to everyone with the custom features on."""
    assets, question = _strings(listing.asset_ids), title(listing)
    description = 'This market will resolve to \\"Up\\" if the price at the end is at least the price at the start.'
    told = f'"ticker":"{listing.slug}","slug":"{listing.slug}","title":"{question}","description":"{description}"'
    return Message(
        f'{{"id":"{listing.gamma_id}","question":"{question}","market":"{listing.condition_id}","slug":"{listing.slug}",'
        f'"description":"{description}","assets_ids":[{assets}],"outcomes":["Up","Down"],'
        f'"event_message":{{"id":"{listing.gamma_id}",{told}}},"timestamp":"{at_ms}","event_type":"new_market",'
        f'"tags":[],"condition_id":"{listing.condition_id}","active":false,"clob_token_ids":[{assets}],'
        '"sports_market_type":"","line":"","game_start_time":"","order_price_min_tick_size":"0.01",'
        '"group_item_title":"","taker_base_fee":"1000","fees_enabled":true,'
        '"fee_schedule":{"exponent":"1","rate":"0.07","taker_only":true,"rebate_rate":"0.2"}}',
        custom=True,
    )


def arrays(elements: Iterable[str], limit_bytes: int) -> list[str]:
    """JSON array frames of the elements, a new one whenever one would pass ``limit_bytes``; ``[]`` for none at all."""
    frames: list[list[str]] = [[]]
    length = 2
    for element in elements:
        if frames[-1] and length + len(element) + 1 > limit_bytes:
            frames.append([])
            length = 2
        frames[-1].append(element)
        length += len(element) + 1
    return ["[" + ",".join(frame) + "]" for frame in frames]


def _strings(values: Iterable[str]) -> str:
    return ",".join(f'"{value}"' for value in values)
