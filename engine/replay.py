"""Replay: records in, the signals that live produced out.

The same pipelines and the same aggregates as live, driven by a plain generator: no clock, no task. Signals come out by
deadline, then target, the aggregate of a deadline after its last market.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from engine.aggregate import Aggregator
from engine.errors import RecordError
from engine.pipeline import MarketPipeline, first_deadline
from engine.presets import Preset
from engine.records import Followed, Record, Unfollowed
from engine.scoring import Scorer
from engine.settings import AggregateSettings, ScoringSettings
from engine.signals import MarketSignals, Signal
from engine.units import to_ns


def replay(
    records: Iterable[tuple[str, Record]],
    *,
    scoring: ScoringSettings,
    preset: Preset,
    new_scorer: Callable[[], Scorer],
    aggregate: AggregateSettings,
) -> Iterator[Signal]:
    """Run ``(target key, record)`` pairs in time order through pipelines and aggregates.

    A target starts with its ``Followed`` record and ends with ``Unfollowed``. Raises ``RecordError`` for pairs out of
    order, for a target that was never followed and for one that is followed twice at a time.
    """
    stage = _Stage(scoring, preset, new_scorer, aggregate)
    for key, record in records:
        yield from stage.advance(record.at_ns)
        yield from stage.receive(key, record)


class _Stage:
    """All pipelines and aggregates of one replay."""

    def __init__(
        self,
        scoring: ScoringSettings,
        preset: Preset,
        new_scorer: Callable[[], Scorer],
        aggregate: AggregateSettings,
    ) -> None:
        self._scoring = scoring
        self._preset = preset
        self._new_scorer = new_scorer
        self._aggregate = aggregate
        self._cadence_ns = to_ns(scoring.cadence_s)
        self._pipelines: dict[str, MarketPipeline] = {}
        self._aggregators: dict[str, Aggregator] = {}
        self._due_ns = 0

    def advance(self, now_ns: int) -> Iterator[Signal]:
        """Fire every deadline up to ``now_ns``, all markets of one deadline before the next."""
        while self._pipelines and self._due_ns <= now_ns:
            for key in sorted(self._pipelines):
                yield from self._emit(self._pipelines[key].advance(self._due_ns))
            self._due_ns += self._cadence_ns

    def receive(self, key: str, record: Record) -> Iterator[Signal]:
        if isinstance(record, Followed):
            self._follow(key, record)
        pipeline = self._pipelines.get(key)
        if pipeline is None:
            raise RecordError(f"a record of {key}, which is not followed")
        yield from self._emit(pipeline.receive(record))
        if isinstance(record, Unfollowed):
            yield from self._unfollow(key)

    def _follow(self, key: str, record: Followed) -> None:
        if key in self._pipelines:
            raise RecordError(f"{key} is followed already")
        if not self._pipelines:
            self._due_ns = first_deadline(record.at_ns, self._cadence_ns)
        target = record.target
        pipeline = MarketPipeline(
            target, followed_ns=record.at_ns, scoring=self._scoring, preset=self._preset, scorer=self._new_scorer()
        )
        self._pipelines[key] = pipeline
        aggregator = self._aggregators.setdefault(target.underlying, Aggregator(target.underlying, self._aggregate))
        aggregator.follow(target.key, pipeline.next_deadline())

    def _unfollow(self, key: str) -> Iterator[Signal]:
        target = self._pipelines.pop(key).target
        aggregator = self._aggregators[target.underlying]
        aggregator.unfollow(target.key)
        yield from aggregator.settle()

    def _emit(self, signals: Iterable[MarketSignals]) -> Iterator[Signal]:
        for signal in signals:
            yield signal
            yield from self._aggregators[signal.underlying].receive(signal)
