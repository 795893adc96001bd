"""The aggregate of one underlying: all its markets at one deadline, as one ``AggregateSignal``.

The aggregate of deadline *d* is a function of the signals with ``as_of == d``, ordered by target; when they arrived and
in which order changes nothing. It is due as soon as every followed market has reached *d*, or at a grace deadline, and
names whoever is missing then. A signal that comes later still is counted and ignored. Of the outside scores of one name
it takes the latest from before *d*, even if a newer one is there by the time it closes.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable
from typing import Final

from engine.fusion import Opinion, agreement, fuse, weighted_confidence, weighted_score
from engine.markets import MarketPhase
from engine.settings import AggregateSettings
from engine.signals import AggregateSignal, Contribution, MarketSignals, OutsideScore, SignalType
from engine.units import to_ns

SILENT: Final = frozenset({SignalType.MARKET_UNAVAILABLE, SignalType.MARKET_CLOSED})
SILENCE: Final = Opinion(score=0.0, confidence=0.0)

OUTSIDE_KEPT: Final = 1024
"""How many outside scores of one name are kept at most for deadlines that are still open."""


def combine(
    underlying: str,
    as_of_ns: int,
    signals: Iterable[MarketSignals],
    *,
    outside: Iterable[OutsideScore] = (),
    expected: Collection[str] = (),
    missing: Iterable[str] = (),
) -> AggregateSignal:
    """Combine the signals of one deadline; only open markets count.

    A market with nothing to say (unavailable, or no component present) contributes ``None``, not 0, to the score, and
    0 to the confidence, which is the mean over all open markets. ``outside`` scores are fused in; when there is none
    and none is ``expected`` (by name) the fused values equal the markets' own.
    """
    entries = [signal for signal in sorted(signals, key=lambda it: it.target) if signal.phase is MarketPhase.OPEN]
    opinions = {it.target: Opinion(score=it.score, confidence=it.confidence) for it in entries if _says_something(it)}
    voices = tuple(opinions.values())
    score = weighted_score(voices)
    confidence = weighted_confidence([opinions.get(it.target, SILENCE) for it in entries])
    sources = tuple(sorted(outside, key=lambda it: it.name))
    own = None if score is None else Opinion(score=score, confidence=confidence)
    fusion = fuse(own, sources, expected) if expected or sources else None
    total = sum(opinion.confidence for opinion in voices)
    return AggregateSignal(
        as_of_ns=as_of_ns,
        underlying=underlying,
        score=score,
        confidence=confidence,
        agreement=agreement(voices),
        fused_score=score if fusion is None else fusion.score,
        fused_confidence=confidence if fusion is None else fusion.confidence,
        markets_open=len(entries),
        markets_scored=len(voices),
        contributions=tuple(_contribution(it, opinions.get(it.target), total) for it in entries),
        outside=sources,
        missing=tuple(sorted(missing)),
    )


def _says_something(signal: MarketSignals) -> bool:
    return signal.signal_type not in SILENT and bool(signal.components_present)


def _contribution(signal: MarketSignals, opinion: Opinion | None, total: float) -> Contribution:
    return Contribution(
        target=signal.target,
        condition_id=signal.condition_id,
        series=signal.series,
        phase=signal.phase,
        signal_type=signal.signal_type,
        score=None if opinion is None else opinion.score,
        confidence=signal.confidence,
        weight=opinion.confidence / total if opinion is not None and total > 0.0 else 0.0,
    )


class Aggregator:
    """Collects the signals of one underlying deadline by deadline.

    Targets are announced with ``follow`` (with their first deadline) and ``unfollow``; what is expected at a deadline
    is every target followed by then. Deadlines close in order.
    """

    def __init__(self, underlying: str, settings: AggregateSettings) -> None:
        self.underlying = underlying
        self.late = 0
        self._settings = settings
        self._grace_ns = to_ns(settings.grace_s)
        self._outside_age_ns = to_ns(settings.outside_max_age_s)
        self._first_ns: dict[str, int] = {}
        self._all_from_ns = 0
        self._open: dict[int, dict[str, MarketSignals]] = {}
        self._outside: dict[str, list[OutsideScore]] = {}
        self._closed_ns = 0

    def follow(self, target: str, first_deadline_ns: int) -> None:
        """Expect the target's signals from this deadline on."""
        self._first_ns[target] = first_deadline_ns
        self._all_from_ns = max(self._all_from_ns, first_deadline_ns)

    def unfollow(self, target: str) -> None:
        """Expect the target no more; what it already said of an open deadline still counts."""
        self._first_ns.pop(target, None)

    def unfollow_all(self) -> None:
        """Expect nobody any more."""
        self._first_ns.clear()

    def offer(self, score: OutsideScore) -> None:
        """Take in an outside score; for deadlines after its time it replaces the earlier ones of the same name."""
        kept = self._outside.setdefault(score.name, [])
        insort(kept, score, key=lambda it: it.at_ns)
        while len(kept) > OUTSIDE_KEPT or (len(kept) > 1 and kept[1].at_ns <= self._closed_ns):
            del kept[0]

    def receive(self, signal: MarketSignals) -> list[AggregateSignal]:
        """Take a signal in; the aggregates that are complete now, oldest first."""
        if signal.as_of_ns <= self._closed_ns:
            self.late += 1
            return []
        self._open.setdefault(signal.as_of_ns, {})[signal.target] = signal
        return self.settle()

    def settle(self) -> list[AggregateSignal]:
        """The aggregates that are complete now, oldest first."""
        done: list[AggregateSignal] = []
        for as_of_ns in sorted(self._open):
            if self._fewer_than_expected(as_of_ns) or self._missing(as_of_ns):
                break
            done.append(self._close(as_of_ns))
        return done

    def advance(self, now_ns: int) -> list[AggregateSignal]:
        """Close every deadline whose grace is over at ``now_ns``, complete or not, and what waited for it."""
        due = [as_of_ns for as_of_ns in sorted(self._open) if as_of_ns + self._grace_ns <= now_ns]
        return [self._close(as_of_ns) for as_of_ns in due] + self.settle()

    def next_deadline(self) -> int | None:
        """When the oldest open deadline runs out of grace, ``None`` when none is open."""
        return min(self._open) + self._grace_ns if self._open else None

    def _fewer_than_expected(self, as_of_ns: int) -> bool:
        """Whether somebody must be missing: most signals are not the last, and need no look at all markets."""
        return as_of_ns >= self._all_from_ns and len(self._open[as_of_ns]) < len(self._first_ns)

    def _missing(self, as_of_ns: int) -> list[str]:
        heard = self._open[as_of_ns]
        return [target for target, first_ns in self._first_ns.items() if first_ns <= as_of_ns and target not in heard]

    def _close(self, as_of_ns: int) -> AggregateSignal:
        missing = self._missing(as_of_ns)
        signals = self._open.pop(as_of_ns)
        self._closed_ns = as_of_ns
        return combine(
            self.underlying,
            as_of_ns,
            signals.values(),
            outside=self._fresh_outside(as_of_ns),
            expected=self._settings.outside,
            missing=missing,
        )

    def _fresh_outside(self, as_of_ns: int) -> list[OutsideScore]:
        oldest_ns = as_of_ns - self._outside_age_ns
        earlier = ([score for score in kept if oldest_ns <= score.at_ns < as_of_ns] for kept in self._outside.values())
        return [scores[-1] for scores in earlier if scores]
