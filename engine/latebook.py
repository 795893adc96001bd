"""A market's book that reads what came when somebody looks, and not before.

The venue says everything twice and most things again: both tokens show each change, after a trade comes the book of
either, and every snapshot overtakes what came before it. So level changes wait once they are decoded, and a snapshot's
levels stay unread but for the best ones, which are judged at once. Whatever is overtaken before anybody looks never
reaches the book.

Who looks when changes nothing that anybody ever sees: the state is a function of what came. So a snapshot whose deeper
levels turn out malformed is not counted, since it might have been overtaken unread; it leaves no book until the next.
"""

from __future__ import annotations

from typing import Final

from engine.book import Book, MirroredChange, ladders_of
from engine.busy import BookMessage, decode_change
from engine.errors import WireError
from engine.events import BookSnapshot
from engine.markets import Market, Outcome, Side
from engine.units import PRICE_SCALE
from engine.wire import decode

MOST_WAITING: Final = 1024
"""So many level changes wait at most, lest they fill the memory."""

_BUY: Final = Side.BUY


class LateBook:
    """The book of ``market``, unsound since ``at_ns``. An ``eager`` one reads at once, for those who always look.

    Times are epoch nanoseconds that never run backwards.
    """

    __slots__ = (
        "_book",
        "_condition_id",
        "_down_asset_id",
        "_eager",
        "_last",
        "_unread",
        "_unsound_since_ns",
        "_up_asset_id",
        "_waiting",
    )

    def __init__(self, market: Market, at_ns: int | None, *, eager: bool = False) -> None:
        self._book = Book(market)
        # Every message is held against these: so they lie where everything else is that it touches.
        self._condition_id = market.condition_id
        self._up_asset_id, self._down_asset_id = market.up_asset_id, market.down_asset_id
        self._eager = eager
        self._unsound_since_ns = at_ns
        # The level changes that came since the last look.
        self._waiting: list[MirroredChange] = []
        self._unread: tuple[int, Outcome, BookMessage, str] | None = None
        # Of an eager book the snapshot that was read last, as long as nothing else was heard of it.
        self._last: BookMessage | None = None

    def change(self, at_ns: int, text: str) -> MirroredChange | None:
        """Take in what nine messages of ten are: one level of this book and its top, as both tokens show them.

        ``text`` is no longer than ``busy.SHORT``. The answer is what was kept of it; ``None`` for any other text, and
        then nothing was done.
        """
        try:
            message = decode_change(text)
            up, down = message.price_changes
        except (ValueError, RecursionError):
            return None
        if up.asset_id != self._up_asset_id:
            up, down = down, up
        price, up_bid, up_ask, down_bid = up.price, up.best_bid, up.best_ask, down.best_bid
        if (
            up.asset_id != self._up_asset_id
            or down.asset_id != self._down_asset_id
            or message.market != self._condition_id
            or price + down.price != PRICE_SCALE
            or up_bid + down.best_ask != PRICE_SCALE
            or up_ask + down_bid != PRICE_SCALE
            or not 0 < up_bid < up_ask < PRICE_SCALE
            or up.size != down.size
            or up.side is down.side
        ):
            return None
        of_up, waiting = up.side is _BUY, self._waiting
        change = MirroredChange(at_ns, of_up, price if of_up else down.price, up.size, up_bid, down_bid)
        waiting.append(change)
        if len(waiting) >= MOST_WAITING:
            self.look()
        return change

    def snapshot(self, at_ns: int, outcome: Outcome, message: BookMessage, text: str) -> None:
        """Take in a token's book, and the text that it was read from.

        Raises ``ValueError`` for best levels that are none, and then has done nothing.
        """
        bid, opposite = message.tops()
        if bid is not None and opposite is not None and bid[0] + opposite[0] >= PRICE_SCALE:
            self.look()
            self._judge(at_ns, sound=False)
        else:
            self._unsound_since_ns = None
        if self._waiting:
            self._book.agreed(len(self._waiting))
            self._waiting.clear()
            self._last = None
        self._book.compare(outcome, None if bid is None else bid[0], None if opposite is None else opposite[0])
        last = self._last
        if last is not None and message.mirrors(last) and self._book.has_tops(outcome, bid, opposite):
            # After a trade the book of both tokens comes, and this is the second one: the first one mirrored, as its
            # stamp, its lengths and its best levels say.
            self._book.restate()
        else:
            self._unread = (at_ns, outcome, message, text)
        if self._eager:
            self.look()
            self._last = message

    def look(self) -> Book:
        """The book as it is now."""
        if self._unread is not None:
            self._read(*self._unread)
        if self._waiting:
            self._unsound_since_ns = self._book.set_levels(self._waiting, self._unsound_since_ns)
            self._waiting.clear()
            self._last = None
        return self._book

    def touched(self, at_ns: int) -> None:
        """Judge the book anew after whoever looked has changed it."""
        self._last = None
        self._judge(at_ns, sound=self._book.sound)

    def lose(self, at_ns: int) -> None:
        """Forget all that was said of levels and tops, read or not."""
        self._waiting.clear()
        self._unread = self._last = None
        self._book.invalidate()
        self._unsound_since_ns = at_ns

    @property
    def unsound_since_ns(self) -> int | None:
        """Since when the book is missing, crossed or at odds with the top stated, if it is."""
        self.look()
        return self._unsound_since_ns

    def _read(self, at_ns: int, outcome: Outcome, message: BookMessage, text: str) -> None:
        self._unread = None
        try:
            self._book.replace(outcome, *message.ladders())
        except (ValueError, RecursionError):
            self._read_patiently(outcome, text)
        if not self._book.sound:
            self._judge(at_ns, sound=False)

    def _read_patiently(self, outcome: Outcome, text: str) -> None:
        try:
            (event,) = decode(text)
        except WireError:
            self._book.drop_levels()
        else:
            assert isinstance(event, BookSnapshot)
            self._book.replace(outcome, *ladders_of(event))

    def _judge(self, at_ns: int, *, sound: bool) -> None:
        if sound:
            self._unsound_since_ns = None
        elif self._unsound_since_ns is None:
            self._unsound_since_ns = at_ns
