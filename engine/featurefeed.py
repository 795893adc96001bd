"""What the features are told of one market: its quote, the pressure of its book and its trades, as each comes.

The book is asked anew whenever it moved, except where that would say nothing new: nine level changes of ten lie beside
the touch and leave the quote as it was.
"""

from __future__ import annotations

from typing import Final

from engine.book import Book, MirroredChange
from engine.features import Features
from engine.signals import BookState
from engine.units import NS_PER_S
from engine.window import WindowTrade

UNFED: Final = Features(window_ns=NS_PER_S, tick=100)
"""What a scorer finds that does without features; nothing ever goes in."""

PRESSURE_TICKS: Final = 5
"""So far from the touch, in steps of the market's tick, levels press on the price (signal definitions 2.7)."""

PRESSURE_DECAY: Final = 0.5
"""How fast the weight of a level fades by step (signal definitions 2.7)."""


class FeatureFeed:
    """Keeps ``features``, of a window of ``window_ns``, up with one market.

    ``wants_pressure`` keeps the book imbalance among them, which costs time at every move of the book. Times are epoch
    nanoseconds that never run backwards.
    """

    __slots__ = ("_quoted", "_wants_pressure", "features")

    def __init__(self, *, window_ns: int, wants_pressure: bool) -> None:
        self.features = Features(window_ns=window_ns, tick=100)
        self._wants_pressure = wants_pressure
        # The best bids of Up and of Down of the quote that the features had last, if it was from a level change.
        self._quoted: tuple[int, int] | None = None

    def changed(self, book: Book, change: MirroredChange) -> None:
        """Take over the quote of a book after a level change, and the pressure if it is wanted."""
        stated = change.up_bid, change.down_bid
        beside = change.price != (change.up_bid if change.of_up else change.down_bid)
        if beside and stated == self._quoted:
            self.features.again(change.at_ns)
            self._press(book, change.at_ns)
        else:
            self.moved(book, change.at_ns)
            self._quoted = stated

    def moved(self, book: Book, at_ns: int) -> None:
        """The same of a book that anything else was said of."""
        self._quoted = None
        quote = book.quote()
        if quote is None:
            self.features.no_quote(at_ns)
        else:
            self.features.quote(at_ns, *quote)
        self._press(book, at_ns)

    def _press(self, book: Book, at_ns: int) -> None:
        if not self._wants_pressure:
            return
        if book.state is BookState.CLEAN:
            self.features.pressure(at_ns, *book.pressure(PRESSURE_TICKS, PRESSURE_DECAY))
        else:
            self.features.no_pressure(at_ns)

    def trade(self, trade: WindowTrade) -> None:
        """A trade that the window took in."""
        self.features.trade(trade)

    def gap(self, at_ns: int) -> None:
        """The book is lost: what comes is not compared with what was."""
        self._quoted = None
        self.features.gap(at_ns)

    def tick_size(self, tick: int) -> None:
        """The market's price step became ``tick``, in ticks."""
        self._quoted = None
        self.features.tick_size(tick)

    def evict(self, start_ns: int) -> None:
        """Forget what was received before ``start_ns``."""
        self.features.evict(start_ns)
