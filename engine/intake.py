"""Intake: the records of one market turned into the state that is scored.

It owns the book, the trade window, the coverage and the features of one market, and counts what it could not use. What
the features are told is ``engine.featurefeed``'s to say. It knows nothing of deadlines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve

from engine.book import Book
from engine.busy import CHANGE_LETTER, SHORT, BookMessage, TradeMessage, read
from engine.coverage import Coverage
from engine.errors import WireError
from engine.events import (
    BestBidAsk,
    BookSnapshot,
    MarketResolved,
    NewMarket,
    PriceChange,
    TextAnswer,
    TickSizeChange,
    Trade,
    UnknownEvent,
)
from engine.featurefeed import UNFED, FeatureFeed
from engine.latebook import LateBook
from engine.markets import Market, Outcome
from engine.records import Connected, Disconnected, Frame, LookupFailed, MarketUpdated, Record
from engine.signals import BookState
from engine.window import TradeWindow
from engine.wire import decode


class Intake:
    """State of one market, fed record by record.

    ``wants_features`` keeps the features, ``wants_pressure`` the book imbalance among them; both cost time on every
    event.
    """

    __slots__ = (
        "_feed",
        "_heard_both_ns",
        "_heard_ns",
        "_late_book",
        "_unclean_since_ns",
        "answered",
        "coverage",
        "dropped",
        "epoch",
        "fault",
        "features",
        "foreign",
        "lookup_failure",
        "malformed",
        "market",
        "messages",
        "trades",
        "unknown",
    )

    def __init__(
        self, *, window_ns: int, stale_after_ns: int, wants_features: bool = True, wants_pressure: bool = False
    ) -> None:
        self.market: Market | None = None
        self.answered = False
        self.lookup_failure: str | None = None
        self._late_book: LateBook | None = None
        self.trades = TradeWindow()
        self.coverage = Coverage(stale_after_ns=stale_after_ns)
        self._feed = FeatureFeed(window_ns=window_ns, wants_pressure=wants_pressure) if wants_features else None
        self.features = UNFED if self._feed is None else self._feed.features
        self.epoch = 0
        self.fault: str | None = None
        self._heard_ns: dict[str, int] = {}
        self._heard_both_ns = 0
        self._unclean_since_ns: int | None = None
        self.messages = self.malformed = self.foreign = self.unknown = self.dropped = 0

    def apply(self, record: Record) -> None:
        """Take one record in."""
        handle = _RECORDS.get(type(record))
        if handle is not None:
            handle(self, record)

    def evict(self, start_ns: int) -> None:
        """Forget what was received before ``start_ns``."""
        self.trades.evict(start_ns)
        self.coverage.evict(start_ns)
        if self._feed is not None:
            self._feed.evict(start_ns)

    @property
    def book(self) -> Book | None:
        """The book as of the last record, ``None`` before there is a market."""
        return None if self._late_book is None else self._late_book.look()

    @property
    def book_state(self) -> BookState:
        """The book's state; unsynced before there is one."""
        book = self.book
        return BookState.UNSYNCED if book is None else book.state

    @property
    def unclean_since_ns(self) -> int | None:
        """Since when the book is missing, crossed or at odds with the top stated, if it is."""
        return self._unclean_since_ns if self._late_book is None else self._late_book.unsound_since_ns

    @property
    def silent_since_ns(self) -> int | None:
        """Since when one of the market's tokens has had no event of this socket, ``None`` before there is one."""
        if len(self._heard_ns) < 2 and self._heard_both_ns:
            return self._heard_both_ns
        first_ns = min(self._heard_ns.values(), default=None)
        return None if first_ns is None else max(first_ns, self._heard_both_ns)

    def _updated(self, record: MarketUpdated) -> None:
        self.answered, self.lookup_failure = True, None
        market = record.market
        if market is None:
            return
        if self.market is None or market.asset_ids != self.market.asset_ids:
            self._late_book = LateBook(market, self.unclean_since_ns, eager=self._feed is not None)
            self._step_of_price(market.tick)
        elif self.market.winner is not None and market.winner is None:
            market = evolve(market, winner=self.market.winner, closed=True)
        self.market = market

    def _lookup_failed(self, record: LookupFailed) -> None:
        self.lookup_failure = record.reason

    def _connected(self, record: Connected) -> None:
        self.epoch = record.epoch
        if self.market is not None:
            self._heard_ns = dict.fromkeys(self.market.asset_ids, record.at_ns)
        self.fault = None
        self.coverage.connected(record.at_ns)
        self.trades.seam()
        self._lose_book(record.at_ns)

    def _disconnected(self, record: Disconnected) -> None:
        self.fault = record.reason
        self.dropped += record.dropped
        self.coverage.disconnected(record.at_ns)
        self._lose_book(record.at_ns)

    def _lose_book(self, at_ns: int) -> None:
        if self._feed is not None:
            self._feed.gap(at_ns)
        self._unclean_since_ns = at_ns
        if self._late_book is not None:
            self._late_book.lose(at_ns)

    def _step_of_price(self, tick: int) -> None:
        if self._feed is not None:
            self._feed.tick_size(tick)

    def _frame(self, record: Frame) -> None:
        self.frames(record.at_ns, (record.text,))

    def frames(self, at_ns: int, texts: Sequence[str]) -> None:
        """Take texts of the venue in, in order, that were received at one time."""
        self.messages += len(texts)
        late, feed, heard = self._late_book, self._feed, False
        for text in texts:
            # Nine messages of ten are level changes: they are not asked what else they might be.
            if not 3 < len(text) <= SHORT or text[-4] != CHANGE_LETTER:
                heard |= self._other(text, at_ns)
            elif late is not None and (change := late.change(at_ns, text)) is not None:
                heard = True
                self._heard_both_ns = at_ns
                if feed is not None:
                    feed.changed(late.look(), change)
            else:
                heard |= self._patient(text, at_ns)
        if heard:
            self.coverage.event(at_ns)

    def _other(self, text: str, at_ns: int) -> bool:
        """Take in any text but a level change; whether something of it was ours."""
        message = read(text)
        return (
            (type(message) is TradeMessage and self._read_trade(message, at_ns))
            or (type(message) is BookMessage and self._showed(message, text, at_ns))
            or self._patient(text, at_ns)
        )

    def _patient(self, text: str, at_ns: int) -> bool:
        """Take in any text, and count what cannot be used; whether something of it was ours."""
        try:
            events = decode(text)
        except WireError as error:
            self.malformed += error.malformed
            events = error.events
        heard = False
        for event in events:
            heard |= _EVENTS[type(event)](self, event, at_ns)
        return heard

    def _showed(self, message: BookMessage, text: str, at_ns: int) -> bool:
        """Take a snapshot of our book in; nothing is done with any other."""
        market, late = self.market, self._late_book
        outcome = None if market is None else market.outcome_of(message.asset_id)
        if market is None or late is None or outcome is None or message.market != market.condition_id:
            return False
        try:
            late.snapshot(at_ns, outcome, message, text)
        except ValueError:
            return False
        self._heard_ns[message.asset_id] = at_ns
        if self._feed is not None:
            self._feed.moved(late.look(), at_ns)
        return True

    def _read_trade(self, message: TradeMessage, at_ns: int) -> bool:
        """Take a trade of our market in; nothing is done with any other."""
        market = self.market
        outcome = None if market is None else market.outcome_of(message.asset_id)
        if market is None or outcome is None or message.market != market.condition_id:
            return False
        self._heard_ns[message.asset_id] = at_ns
        self._traded(message.event(), outcome, at_ns)
        return True

    def _outcome(self, market_id: str, asset_id: str, at_ns: int) -> Outcome | None:
        """What an event is about, its token noted as heard; ``None``, and counted, if it is none of ours."""
        market = self.market
        outcome = market.outcome_of(asset_id) if market is not None and market_id == market.condition_id else None
        if outcome is None:
            self.foreign += 1
        else:
            self._heard_ns[asset_id] = at_ns
        return outcome

    def _snapshot(self, event: BookSnapshot, at_ns: int) -> bool:
        outcome = self._outcome(event.market, event.asset_id, at_ns)
        if outcome is None or self.book is None:
            return False
        if event.tick is not None and self.book.tick_size(event.tick):
            self._step_of_price(event.tick)
        self.book.snapshot(event, outcome)
        self._book_moved(self.book, at_ns)
        return True

    def _change(self, event: PriceChange, at_ns: int) -> bool:
        market, book = self.market, self.book
        if market is None or book is None or event.market != market.condition_id:
            self.foreign += 1
            return False
        changes = [(change, market.outcome_of(change.asset_id)) for change in event.changes]
        ours = [(change, outcome) for change, outcome in changes if outcome is not None]
        if market.down_asset_id is not None:
            self.foreign += len(changes) - len(ours)
        if not ours:
            return False
        for change, _ in ours:
            self._heard_ns[change.asset_id] = at_ns
        book.change(ours)
        self._book_moved(book, at_ns)
        return True

    def _top(self, event: BestBidAsk, at_ns: int) -> bool:
        outcome = self._outcome(event.market, event.asset_id, at_ns)
        if outcome is None or self.book is None:
            return False
        self.book.top(outcome, event.best_bid, event.best_ask)
        self._book_moved(self.book, at_ns)
        return True

    def _tick(self, event: TickSizeChange, at_ns: int) -> bool:
        outcome = self._outcome(event.market, event.asset_id, at_ns)
        if outcome is None or self.book is None:
            return False
        if self.book.tick_size(event.new_tick):
            self._step_of_price(event.new_tick)
            self._lose_book(at_ns)
        return True

    def _trade(self, event: Trade, at_ns: int) -> bool:
        outcome = self._outcome(event.market, event.asset_id, at_ns)
        if outcome is None:
            return False
        self._traded(event, outcome, at_ns)
        return True

    def _traded(self, event: Trade, outcome: Outcome, at_ns: int) -> None:
        trade = self.trades.add(event, outcome, at_ns)
        if trade is not None and self._feed is not None:
            self._feed.trade(trade)

    def _resolved(self, event: MarketResolved, at_ns: int) -> bool:
        market = self.market
        if market is None or event.market != market.condition_id:
            return False
        winner = market.outcome_of(event.winning_asset_id)
        if winner is not None:
            self.market = evolve(market, winner=winner, closed=True, accepting_orders=False)
        return True

    def _not_ours(self, event: NewMarket | TextAnswer, at_ns: int) -> bool:
        return False

    def _unknown(self, event: UnknownEvent, at_ns: int) -> bool:
        self.unknown += 1
        return False

    def _book_moved(self, book: Book, at_ns: int) -> None:
        assert self._late_book is not None
        self._late_book.touched(at_ns)
        if self._feed is not None:
            self._feed.moved(book, at_ns)


_RECORDS: Mapping[type, Callable[[Intake, Any], None]] = {
    MarketUpdated: Intake._updated,
    LookupFailed: Intake._lookup_failed,
    Connected: Intake._connected,
    Frame: Intake._frame,
    Disconnected: Intake._disconnected,
}

_EVENTS: Mapping[type, Callable[[Intake, Any, int], bool]] = {
    BookSnapshot: Intake._snapshot,
    PriceChange: Intake._change,
    BestBidAsk: Intake._top,
    Trade: Intake._trade,
    TickSizeChange: Intake._tick,
    MarketResolved: Intake._resolved,
    NewMarket: Intake._not_ours,
    TextAnswer: Intake._not_ours,
    UnknownEvent: Intake._unknown,
}
