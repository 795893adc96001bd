"""A market's book that reads what came when somebody looks, and not before.

The venue says everything twice and most things again: both tokens show each change, after a trade comes the book of
either, and every snapshot overtakes what came before it. So level changes wait, a snapshot's levels stay unread, and
whatever is overtaken before anybody looks is never read at all. How often somebody looks changes no book.

What is not judged until it is read is only the levels of a snapshot exactly as documented today. One that turns out
malformed is counted then, and leaves no book until the next one comes.
"""

from __future__ import annotations

from typing import Final

from engine.book import Book, MirroredChange
from engine.busy import BookMessage
from engine.errors import WireError
from engine.events import BookSnapshot
from engine.markets import Market, Outcome
from engine.wire import decode

MOST_WAITING: Final = 1024
"""Level changes that may wait."""


class LateBook:
    """The book of ``market``, unsound since ``at_ns``.

    ``malformed`` counts the snapshots that turned out so. Times are epoch nanoseconds that never run backwards.
    """

    __slots__ = ("_book", "_last", "_unread", "_unsound_since_ns", "_waiting", "malformed")

    def __init__(self, market: Market, at_ns: int | None) -> None:
        self.malformed = 0
        self._book = Book(market)
        self._unsound_since_ns = at_ns
        self._waiting: list[MirroredChange] = []
        self._unread: tuple[int, Outcome, BookMessage, str] | None = None
        # The snapshot that was read last, as long as nothing else was heard of the book.
        self._last: BookMessage | None = None

    def changed(self, change: MirroredChange) -> None:
        """Take in one level that both tokens' entries of a message name alike."""
        waiting = self._waiting
        waiting.append(change)
        if len(waiting) >= MOST_WAITING:
            self.look()

    def snapshot(self, at_ns: int, outcome: Outcome, message: BookMessage, text: str) -> None:
        """Take in a token's book, and the text that it was read from."""
        if self._waiting:
            self._book.agreed(len(self._waiting))
            self._waiting.clear()
            self._last = None
        self._unread = (at_ns, outcome, message, text)

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
        self._judge(at_ns)

    def lose(self, at_ns: int) -> None:
        """Forget all that was said of levels and tops, read or not."""
        self._waiting.clear()
        self._unread = self._last = None
        self._book.invalidate()
        self._unsound_since_ns = at_ns

    @property
    def unsound_since_ns(self) -> int | None:
        """Since when the book is missing, crossed or at odds with the top stated, if it is.

        What was overtaken unread has neither ended nor begun that.
        """
        self.look()
        return self._unsound_since_ns

    def _read(self, at_ns: int, outcome: Outcome, message: BookMessage, text: str) -> None:
        """After a trade the book of both tokens comes; the second is the first one mirrored.

        So its levels are not read when its stamp, its lengths and its best levels say that it is.
        """
        self._unread = None
        book, last = self._book, self._last
        try:
            if last is not None and message.mirrors(last) and book.has_tops(outcome, *message.tops()):
                book.repeat(outcome)
            else:
                book.replace(outcome, *message.ladders())
        except (ValueError, RecursionError):
            self._read_patiently(at_ns, outcome, text)
        else:
            self._last = message
            self._judge(at_ns)

    def _read_patiently(self, at_ns: int, outcome: Outcome, text: str) -> None:
        try:
            (event,) = decode(text)
        except WireError as error:
            self.malformed += error.malformed
            self.lose(at_ns)
            return
        assert isinstance(event, BookSnapshot)
        self._book.snapshot(event, outcome)
        self._last = None
        self._judge(at_ns)

    def _judge(self, at_ns: int) -> None:
        if self._book.sound:
            self._unsound_since_ns = None
        elif self._unsound_since_ns is None:
            self._unsound_since_ns = at_ns
