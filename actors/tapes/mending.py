"""Mending: whatever is left of a tape, made into records that replay.

An intact tape comes out as it went in. What is missing is never made up: a following without end ends a nanosecond
after its last record; where records are missing in between, the market was not connected for so long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET

from actors.tapes.layout import DAY_NS, day_bounds, target_named
from engine.errors import TapeError
from engine.markets import Market, Target
from engine.records import Connected, Disconnected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.tape import MAX_TIME_NS, VERSION, End, Lost, TapeHeader, TapeItem

HOLE: Final = "hole"
"""The ``reason`` of a disconnect that stands for records that are missing."""


class Mending:
    """Of the tape of one key: ``take`` its items in the order of its parts, ``lose`` what is damaged, ``finish``.

    What comes out never runs backwards, begins with ``Followed`` and ends with ``Unfollowed``, as often as need be.
    Left out, and counted: records that are ``misplaced`` (behind the end, before what they follow, of another day than
    their part), those of followings that are ``overlapping`` another one, ``unreadable`` lines, and ``foreign`` parts
    (of another key, or another version of the format). ``holes`` are the places where records are missing, ``missing``
    lines are known to be; of these ``absent`` ones are in parts that were not given, or at the damaged end of one.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._run: int | None = None
        self._lines = self._lines_before = 0
        self._from_ns, self._until_ns = 0, -1
        self._header: TapeHeader | None = None
        self._header_due = False
        self._torn = True
        self._skip_part = False
        self._overlaps = False
        # How the market stands.
        self._last_ns = 0
        self._target: Target | None = None
        self._known: tuple[Target, Market | None] | None = None
        self._epoch = 0
        self._connected = False
        # What is to be mended before the next record.
        self._hole = False
        self._hole_lines = 0
        self._ended = False
        self._abandoned = False
        self._plain = False
        # What was left out, and what was not there.
        self.holes = self.missing = self.absent = 0
        self.misplaced = self.overlapping = self.unreadable = self.foreign = 0

    def part(self) -> None:
        """A new part begins; its header, if it survived, is the next item."""
        self._lines_before = self._lines
        self._until_ns = -1
        self._header, self._header_due = None, True
        self._torn, self._skip_part = True, False

    @property
    def torn(self) -> bool:
        """Whether the last part did not end with ``End``, so far."""
        return self._torn

    def passed(self, lines: int) -> None:
        """So many lines of the part were there, or are known to be missing."""
        self._lines += lines

    def lose(self, lines: int | None) -> None:
        """Records are missing here, as many as ``lines`` or nobody knows how many."""
        self._header_due = False
        self._open_hole(lines or 0)

    def take(self, item: TapeItem | TapeError) -> Sequence[Record]:
        """What a replay is to see of an item: nothing, itself, or itself behind what mends the tape."""
        if type(item) is Frame and self._plain and self._last_ns <= item.at_ns < self._until_ns:
            self._last_ns = item.at_ns
            return (item,)
        return self._carefully(item)

    def finish(self) -> Sequence[Record]:
        """The tape is over."""
        return self._let_go(self._last_ns + 1)

    def _carefully(self, item: TapeItem | TapeError) -> Sequence[Record]:
        header_due, self._header_due = self._header_due, False
        if isinstance(item, TapeHeader) and not header_due:
            return self._restate(item)
        if isinstance(item, TapeHeader):
            self._begin(item)
        elif self._skip_part:
            pass
        elif isinstance(item, TapeError):
            self.unreadable += 1
            self._open_hole(1)
        elif isinstance(item, Lost):
            self._open_hole(item.records)
        elif isinstance(item, End):
            self._torn = False
        elif not self._in_day(item.at_ns):
            self.misplaced += 1
        else:
            return self._record(item)
        return ()

    def _begin(self, header: TapeHeader) -> None:
        if header.key != self._key or header.version != VERSION:
            self.foreign += 1
            self._skip_part = True
            self._open_hole(0)
            return
        self._header = header
        self._from_ns, self._until_ns = header.at_ns, day_bounds(header.at_ns)[1]
        if self._run is None or header.run != self._run:
            self._abandoned = self._run is not None
            self._ended = self._overlaps = False
            absent = header.sequence
        else:
            absent = header.sequence - self._lines_before
        if absent:
            self.absent += max(absent, 0)
            self._open_hole(max(absent, 0))
        self._lines += header.sequence - self._lines_before
        self._run = header.run
        self._plain = False

    def _restate(self, header: TapeHeader) -> Sequence[Record]:
        """A header in the middle says how the market stands, for who has lost what said so before."""
        if self._skip_part or header.key != self._key or header.version != VERSION:
            return ()
        self._header = header
        unknown = self._target is not None and self._known is not None and self._known[1] is None
        if unknown and header.target == self._target and header.market is not UNSET:
            return self._noted([MarketUpdated(at_ns=self._last_ns, market=header.market)])
        return ()

    def _in_day(self, at_ns: int) -> bool:
        """Whether a record is of its part's day; where the header is missing, the first record says which that is."""
        if self._until_ns < 0:
            self._from_ns, self._until_ns = day_bounds(at_ns)
        return self._from_ns <= at_ns < self._until_ns

    def _record(self, record: Record) -> Sequence[Record]:
        if isinstance(record, Followed):
            return self._follow(record)
        if self._overlaps:
            self.overlapping += 1
            return ()
        if record.at_ns < self._last_ns or self._ended:
            self.misplaced += 1
            return ()
        mended: list[Record] = []
        if self._abandoned or record.at_ns - self._last_ns > DAY_NS:
            mended += self._noted(self._let_go(record.at_ns))
        if self._target is None:
            if isinstance(record, Unfollowed):
                return mended
            mended += self._noted(self._resume(record))
        elif self._hole:
            mended += self._noted(self._over_the_hole(record))
        return [*mended, *self._noted([record])]

    def _follow(self, record: Followed) -> Sequence[Record]:
        if record.target.key != self._key:
            self.misplaced += 1
            return ()
        self._overlaps = record.at_ns < self._last_ns
        if self._overlaps:
            self.overlapping += 1
            return ()
        return self._noted([*self._let_go(record.at_ns), record])

    def _let_go(self, before_ns: int) -> Sequence[Record]:
        """End a following that has no end, a nanosecond after its last record, but not after ``before_ns``."""
        if self._target is None:
            return ()
        return (Unfollowed(at_ns=min(self._last_ns + 1, before_ns, MAX_TIME_NS)),)

    def _resume(self, record: Record) -> Iterator[Record]:
        """Follow on from a record whose following began where nothing is left: by the header, else by the name."""
        header = self._header
        target, market = self._known or (target_named(self._key), None)
        epoch = self._epoch if self._connected else None
        if header is not None and header.target is not UNSET and header.target.key == self._key:
            target = header.target
            market = None if header.market is UNSET else header.market
            epoch = None if header.epoch is UNSET else header.epoch
        yield Followed(at_ns=record.at_ns, target=target)
        if market is not None:
            yield MarketUpdated(at_ns=record.at_ns, market=market)
        if isinstance(record, Frame) or (epoch is not None and not isinstance(record, Connected | Disconnected)):
            yield Connected(at_ns=record.at_ns, epoch=epoch or 1)
        else:
            self._hole = True

    def _over_the_hole(self, record: Record) -> Iterator[Record]:
        """Not connected from the last record before the hole to the first that tells of a connection after it."""
        epoch = self._epoch if self._connected else self._epoch + 1
        if self._connected:
            yield Disconnected(at_ns=self._last_ns, epoch=epoch, reason=HOLE, dropped=self._hole_lines)
            self._hole_lines = 0
        if isinstance(record, Frame):
            yield Connected(at_ns=record.at_ns, epoch=epoch)
        if isinstance(record, Frame | Connected | Disconnected | Unfollowed):
            self._hole, self._hole_lines = False, 0

    def _open_hole(self, lines: int) -> None:
        self._hole, self._ended, self._plain = True, False, False
        self._hole_lines += lines
        self.holes += 1
        self.missing += lines

    def _noted(self, records: Iterable[Record]) -> list[Record]:
        """The records, when it is noted how the market stands after each."""
        noted = []
        for record in records:
            self._last_ns = record.at_ns
            _NOTES.get(type(record), _nothing)(self, record)
            noted.append(record)
        self._plain = self._target is not None and not self._hole
        return noted

    def _followed(self, record: Followed) -> None:
        self._target, self._known = record.target, (record.target, None)
        self._epoch, self._connected = 0, False
        self._hole, self._hole_lines, self._ended, self._abandoned = False, 0, False, False

    def _updated(self, record: MarketUpdated) -> None:
        if self._known is not None and record.market is not None:
            self._known = (self._known[0], record.market)

    def _opened(self, record: Connected) -> None:
        self._epoch, self._connected = record.epoch, True

    def _closed(self, _: Disconnected) -> None:
        self._connected = False

    def _unfollowed(self, _: Unfollowed) -> None:
        self._target, self._ended = None, True


def _nothing(_: Mending, __: Any) -> None:
    return None


_NOTES: Final[Mapping[type, Callable[[Mending, Any], None]]] = {
    Followed: Mending._followed,
    MarketUpdated: Mending._updated,
    Connected: Mending._opened,
    Disconnected: Mending._closed,
    Unfollowed: Mending._unfollowed,
}
