"""The tally of a replay: what each market was made of, and whether it agrees with what is known of it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import asdict, define, frozen

from actors.captures import Capture
from actors.tapes.finding import Tape
from actors.tapes.report import TapeReport
from engine.markets import Outcome
from engine.records import Frame, Record
from engine.signals import BookState, MarketSignals


@frozen(kw_only=True)
class MarketTally:
    """One replayed market.

    ``final_mid`` is the last mid of a two-sided book (a book that lost a side has no mid). ``crossed`` counts the
    signals that met a crossed book, ``left_crossed`` whether the last one did. ``agrees`` compares the final mid with
    the outcome the manifest names, ``complete`` the messages with the manifest's count; ``None`` without a manifest,
    and ``agrees`` also where no final mid points to a side. ``torn`` says where and why a recording could not be read
    to its end, or what is missing on a tape; it is not complete then, and its last mid is not final. ``cut`` is a tape
    that ends without its last line: the recorder was killed, or still records.
    """

    slug: str
    messages: int
    malformed: int
    signals: int
    trades: int
    mean_coverage: float
    final_mid: float | None
    crossed: int
    left_crossed: bool
    complete: bool | None
    agrees: bool | None
    torn: str | None = None
    cut: bool = False


@define
class _Count:
    slug: str
    expected: int | None
    up_won: bool | None
    messages: int = 0
    signals: int = 0
    trades: int = 0
    coverage: float = 0.0
    crossed: int = 0
    final_mid: float | None = None
    last: MarketSignals | None = None
    torn: str | None = None
    cut: bool = False


class Tally:
    """Counts a replay as it goes by."""

    def __init__(self, markets: Sequence[Capture | Tape]) -> None:
        counts = map(_count, markets)
        self._counts = {count.slug: count for count in counts}

    def record(self, key: str, record: Record) -> None:
        """Count a record on its way in."""
        if isinstance(record, Frame):
            self._counts[key].messages += 1

    def frames(self, key: str, frames: int) -> None:
        """Count so many messages that were read elsewhere."""
        self._counts[key].messages += frames

    def signal(self, signal: MarketSignals) -> None:
        """Count a signal on its way out."""
        count = self._counts[signal.target]
        count.signals += 1
        count.trades = max(count.trades, signal.window.trades)
        count.coverage += signal.window.coverage
        count.crossed += signal.quality.book_state is BookState.CROSSED
        if signal.market.mid is not None:
            count.final_mid = signal.market.mid
        count.last = signal

    def tear(self, key: str, complaint: str) -> None:
        """Note that a recording cannot be read any further."""
        self._counts[key].torn = complaint

    def examined(self, report: TapeReport) -> None:
        """Note what is missing on a tape that was read to its end."""
        count = self._counts[report.key]
        count.cut = bool(report.torn)
        losses = list(report.losses())
        if losses:
            more = f" (and {len(losses) - 1} more: updown tape verify tells)" if len(losses) > 1 else ""
            count.torn = losses[0] + more

    def markets(self) -> list[MarketTally]:
        """The tallies, by slug."""
        return [_tally(self._counts[slug]) for slug in sorted(self._counts)]


def failures(markets: Sequence[MarketTally]) -> list[str]:
    """What speaks against the replay, one sentence each."""
    complaints = []
    for market in markets:
        if market.torn is not None:
            complaints.append(market.torn)
        elif market.complete is False:
            complaints.append(f"{market.slug}: {market.messages} messages, which is not what the manifest says")
        if market.agrees is False:
            complaints.append(f"{market.slug}: the final mid {market.final_mid} is on the side that lost")
        if market.left_crossed:
            complaints.append(f"{market.slug}: the book is left crossed")
    return complaints


def as_json(markets: Sequence[MarketTally]) -> list[dict[str, object]]:
    """The tallies as plain JSON types."""
    return [asdict(market) for market in markets]


def _count(market: Capture | Tape) -> _Count:
    capture = market if isinstance(market, Capture) else market.capture
    if capture is not None:
        return _Count(capture.slug, capture.messages, capture.up_won)
    assert isinstance(market, Tape)
    return _Count(market.key, None, None if market.outcome is None else market.outcome is Outcome.UP)


def _tally(count: _Count) -> MarketTally:
    last = count.last
    known = count.up_won is not None and count.final_mid not in (None, 0.5) and count.torn is None
    complete = None if count.expected is None else count.messages == count.expected
    return MarketTally(
        slug=count.slug,
        messages=count.messages,
        malformed=0 if last is None else last.quality.malformed,
        signals=count.signals,
        trades=count.trades,
        mean_coverage=count.coverage / count.signals if count.signals else 0.0,
        final_mid=count.final_mid,
        crossed=count.crossed,
        left_crossed=last is not None and last.quality.book_state is BookState.CROSSED,
        complete=complete if count.torn is None else False,
        agrees=((count.final_mid or 0.0) > 0.5) == count.up_won if known else None,
        torn=count.torn,
        cut=count.cut,
    )
