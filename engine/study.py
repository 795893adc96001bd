"""The study of one market: its records through the very pipeline of live and replay, looked at when asked to.

A study knows beforehand at which instants it will look, and passes each of them before it takes in the first record
that is not earlier, as a pipeline passes its deadlines. So a decision is a function of the records received before its
instant, and what comes later can only add to its aftermath.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeVar

from attrs import define, field

from engine.attendance import Attendance, FeedFacts
from engine.decisions import DELAY_S, HORIZONS_S, Aftermath, Decision, Top
from engine.intake import Intake
from engine.markets import Market, Target
from engine.pipeline import MarketPipeline, neutral_signal, stamp_of
from engine.presets import Preset
from engine.records import Followed, Record, Unfollowed
from engine.scoring import Scorer
from engine.settings import ScoringSettings
from engine.signals import REFUSALS, BookState, FeedState, MarketSignals
from engine.units import price_usd, shares, to_ns, to_seconds

DEFAULT_LATENCIES_S: Final = (0.0, 1.0, 2.0, 5.0)

USUAL_DURATION_S: Final = 900
_USUAL_MINUTES: Final = (2, 5, 8, 11, 14)
_SHORT_AT_S: Final = (60.0, 120.0, 180.0, 240.0)

_Value = TypeVar("_Value")

_UNREADABLE: Final = (BookState.UNSYNCED, BookState.CROSSED)


def default_at_s(duration_s: float) -> tuple[float, ...]:
    """Decision times for a slot of this length: minutes 2, 5, 8, 11, 14 of 15, each minute of 5, else in proportion."""
    if duration_s < USUAL_DURATION_S:
        return tuple(at_s * duration_s / 300 for at_s in _SHORT_AT_S)
    return tuple(minute * 60 * duration_s / USUAL_DURATION_S for minute in _USUAL_MINUTES)


def study(
    records: Iterable[Record],
    target: Target,
    *,
    at_s: Sequence[float],
    scoring: ScoringSettings,
    preset: Preset,
    scorer: Scorer,
    latencies_s: Sequence[float] = DEFAULT_LATENCIES_S,
    market: Market | None = None,
) -> list[Decision]:
    """One decision for each offset that lies inside the slot, by time. Raises what ``Study`` raises."""
    studied = Study(
        target, at_s=at_s, scoring=scoring, preset=preset, scorer=scorer, latencies_s=latencies_s, market=market
    )
    for record in records:
        studied.receive(record)
    return studied.decisions()


@define(kw_only=True, eq=False)
class _Look:
    """One decision in the making; ``None`` is what was not seen (yet)."""

    at_s: float
    as_of_ns: int
    signal: MarketSignals | None = None
    top: Top | None = None
    fair: float | None = None
    last_trade: float | None = None
    mid_before: float | None = None
    delayed: float | None = None
    gaps: int = 0
    silence_ns: int = 0
    tops: list[Top | None] = field(factory=list)
    values: list[float | None] = field(factory=list)


class Study:
    """One market under study, fed record by record.

    ``at_s`` are offsets in seconds from the slot's start; those outside ``[0, end)`` are left out. ``latencies_s`` are
    seconds after the decision, taken in ascending order. The bounds of the slot are those of ``market``, else of
    ``target``. Raises ``ValueError`` when the start is known from neither, and ``RecordError`` as the pipeline does.
    """

    def __init__(
        self,
        target: Target,
        *,
        at_s: Sequence[float],
        scoring: ScoringSettings,
        preset: Preset,
        scorer: Scorer,
        latencies_s: Sequence[float] = DEFAULT_LATENCIES_S,
        market: Market | None = None,
    ) -> None:
        bounds = target if market is None or market.start_ns is None else market
        if bounds.start_ns is None:
            raise ValueError(f"{target.key}: it is not known when it starts, so there is no decision time")
        self._target = target
        self._start_ns, self._end_ns = bounds.start_ns, bounds.end_ns
        self._scoring, self._preset, self._scorer = scoring, preset, scorer
        self._latencies_s = sorted(latencies_s)
        self._pipeline: MarketPipeline | None = None
        inside = sorted({at for at in at_s if at >= 0 and not self._is_over(self._start_ns + to_ns(at))})
        self._looks = [_Look(at_s=at, as_of_ns=self._start_ns + to_ns(at)) for at in inside]
        self._unanchored: list[_Look] = []
        self._visits = sorted(
            (visit for look in self._looks for visit in self._visits_of(look)), key=lambda visit: visit[0]
        )
        self._visited = 0
        self._attendance = Attendance(start_ns=self._start_ns, end_ns=self._end_ns)

    def receive(self, record: Record) -> None:
        """Look at every instant up to the record's time, then take the record in."""
        if self._pipeline is not None:
            self._attendance.measure(record.at_ns, self._pipeline.intake)
        self._pass(record.at_ns)
        if isinstance(record, Followed):
            self._pipeline = self._new_pipeline(record)
        if self._pipeline is not None:
            self._take(record, self._pipeline)

    def decisions(self) -> list[Decision]:
        """The decisions by time, as far as the records went."""
        return [self._decision(look) for look in self._looks]

    def feed(self) -> FeedFacts:
        """How the feed went, as far as the records went."""
        return self._attendance.facts(None if self._pipeline is None else self._pipeline.intake)

    def _take(self, record: Record, pipeline: MarketPipeline) -> None:
        pipeline.receive(record)
        self._attendance.note(record, pipeline.intake)
        if self._unanchored:
            self._anchor(_top(pipeline.intake, record.at_ns))
        if isinstance(record, Unfollowed):
            self._pipeline = None

    def _is_over(self, at_ns: int) -> bool:
        return self._end_ns is not None and at_ns >= self._end_ns

    def _new_pipeline(self, record: Followed) -> MarketPipeline:
        return MarketPipeline(
            record.target,
            followed_ns=record.at_ns,
            scoring=self._scoring,
            preset=self._preset,
            scorer=self._scorer,
            keep_features=True,
        )

    def _visits_of(self, look: _Look) -> list[tuple[int, Callable[[int], None]]]:
        """When to look at what for one decision."""
        as_of_ns = look.as_of_ns
        return [
            (as_of_ns - to_ns(self._scoring.window_s), partial(self._begin_window, look)),
            (as_of_ns - to_ns(DELAY_S), partial(self._score_early, look)),
            (as_of_ns, partial(self._decide, look)),
            *((as_of_ns + to_ns(late_s), partial(self._see_top, look)) for late_s in self._latencies_s),
            *((as_of_ns + to_ns(ahead_s), partial(self._see_value, look)) for ahead_s in HORIZONS_S),
        ]

    def _pass(self, now_ns: int) -> None:
        while self._visited < len(self._visits) and self._visits[self._visited][0] <= now_ns:
            at_ns, visit = self._visits[self._visited]
            if self._pipeline is not None:
                self._pipeline.advance(at_ns)
            visit(at_ns)
            self._visited += 1

    def _signal(self, at_ns: int) -> MarketSignals:
        if self._pipeline is not None:
            return self._pipeline.evaluate(at_ns)
        return self._neutral(at_ns, "not_followed")

    def _neutral(self, at_ns: int, reason: str) -> MarketSignals:
        stamp = stamp_of(self._preset, self._scoring)
        return neutral_signal(self._target, None, at_ns, reason=reason, scoring=self._scoring, stamp=stamp)

    def _top_at(self, at_ns: int) -> Top | None:
        return None if self._pipeline is None else _top(self._pipeline.intake, at_ns)

    def _begin_window(self, look: _Look, at_ns: int) -> None:
        top = self._top_at(at_ns)
        look.mid_before = None if top is None else top.mid
        if look.mid_before is None:
            self._unanchored.append(look)

    def _anchor(self, top: Top | None) -> None:
        """Give windows that began without a mid the first one there is."""
        if top is not None and top.mid is not None:
            for look in self._unanchored:
                look.mid_before = top.mid
            self._unanchored.clear()

    def _score_early(self, look: _Look, at_ns: int) -> None:
        signal = self._signal(at_ns)
        look.delayed = None if signal.signal_type in REFUSALS else signal.score

    def _decide(self, look: _Look, at_ns: int) -> None:
        look.signal = self._signal(at_ns)
        look.top = self._top_at(at_ns)
        look.gaps, look.silence_ns = self._attendance.silences(at_ns)
        if look in self._unanchored:
            self._unanchored.remove(look)
        if self._pipeline is not None:
            look.fair = _fair(self._pipeline.intake, at_ns)
            look.last_trade = _last_trade(self._pipeline.intake)

    def _see_top(self, look: _Look, at_ns: int) -> None:
        look.tops.append(None if self._is_over(at_ns) else self._top_at(at_ns))

    def _see_value(self, look: _Look, at_ns: int) -> None:
        top = None if self._is_over(at_ns - 1) else self._top_at(at_ns)
        look.values.append(None if top is None else top.value)

    def _decision(self, look: _Look) -> Decision:
        signal = look.signal or self._neutral(look.as_of_ns, "not_followed")
        top = look.top or Top()
        return Decision(
            target=self._target.key,
            underlying=self._target.underlying,
            series=self._target.series,
            condition_id=signal.condition_id,
            start_ns=self._start_ns,
            end_ns=self._end_ns,
            at_s=look.at_s,
            as_of_ns=look.as_of_ns,
            preset=signal.preset,
            reached=look.signal is not None,
            score=signal.score,
            confidence=signal.confidence,
            confidence_seed=signal.confidence_seed,
            signal_type=signal.signal_type,
            reason=signal.reason,
            components=signal.components,
            coverage=signal.window.coverage,
            trades=signal.window.trades,
            gaps=look.gaps,
            silence_s=to_seconds(look.silence_ns),
            mid=top.mid,
            price=top.value,
            fair=look.fair,
            spread=top.spread,
            last_trade=look.last_trade,
            mid_before=look.mid_before,
            delayed=look.delayed,
            after=Aftermath(
                tops=_filled(look.tops, len(self._latencies_s)), values=_filled(look.values, len(HORIZONS_S))
            ),
        )


def _top(intake: Intake, now_ns: int) -> Top | None:
    """The top of the book as a signal of this instant states it, ``None`` where it may not be read."""
    book = intake.book
    if book is None or book.state in _UNREADABLE or intake.coverage.state(now_ns) is not FeedState.LIVE:
        return None
    bid, ask = book.best_bid, book.best_ask
    return Top(
        bid=None if bid is None else price_usd(bid),
        ask=None if ask is None else price_usd(ask),
        bid_shares=shares(book.best_bid_size),
        ask_shares=shares(book.best_ask_size),
    )


def _fair(intake: Intake, now_ns: int) -> float | None:
    logit = intake.features.fair.logit_at_end(now_ns)
    return None if logit is None else 1 / (1 + math.exp(-logit))


def _last_trade(intake: Intake) -> float | None:
    last = deque(intake.trades, maxlen=1)
    return price_usd(last[0].yes_price) if last else None


def _filled(values: Sequence[_Value | None], length: int) -> tuple[_Value | None, ...]:
    return (*values, *[None] * (length - len(values)))
