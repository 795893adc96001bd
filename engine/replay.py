"""Replay: records in, the signals that live produced out.

The same pipelines and the same aggregates as live, driven by a plain generator: no clock, no task. Signals come out by
deadline, then target, the aggregate of a deadline after its last market.

What a market says depends on its own records alone. So markets can be scored apart, in as many processes as there are,
as ``steps``; ordered by ``place_of`` and sent through ``conduct`` these give what one replay of all gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import frozen

from engine.aggregate import Aggregator
from engine.errors import RecordError
from engine.markets import Target
from engine.pipeline import MarketPipeline, first_deadline
from engine.presets import Preset
from engine.records import Followed, Record, Unfollowed
from engine.scoring import Scorer
from engine.settings import AggregateSettings, ScoringSettings
from engine.signals import MarketSignals, Signal
from engine.units import to_ns


@frozen(kw_only=True)
class Entered:
    """A target is followed from ``at_ns`` on; its first signal is due at ``deadline_ns``."""

    at_ns: int
    target: Target
    deadline_ns: int


@frozen(kw_only=True)
class Left:
    """A target is followed no more."""

    at_ns: int
    target: Target


Step = Entered | Left | MarketSignals
"""What an aggregate needs to know of one market."""


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
    return conduct(steps(records, scoring=scoring, preset=preset, new_scorer=new_scorer), aggregate)


def steps(
    records: Iterable[tuple[str, Record]], *, scoring: ScoringSettings, preset: Preset, new_scorer: Callable[[], Scorer]
) -> Iterator[Step]:
    """Run the records through pipelines alone; raises as ``replay`` does."""
    stage = _Stage(scoring, preset, new_scorer)
    for key, record in records:
        yield from stage.advance(record.at_ns)
        yield from stage.receive(key, record)


def place_of(step: Step) -> tuple[int, int, str]:
    """Where a step stands among those of other markets; of equals, the market that was given first comes first."""
    if isinstance(step, MarketSignals):
        return step.as_of_ns, 0, step.target
    return step.at_ns, 1, ""


def conduct(steps: Iterable[Step], aggregate: AggregateSettings) -> Iterator[Signal]:
    """The signals among steps that are in order, and the aggregates of them."""
    aggregators: dict[str, Aggregator] = {}
    for step in steps:
        if isinstance(step, MarketSignals):
            yield step
            yield from aggregators[step.underlying].receive(step)
        elif isinstance(step, Entered):
            underlying = step.target.underlying
            aggregator = aggregators.setdefault(underlying, Aggregator(underlying, aggregate))
            aggregator.follow(step.target.key, step.deadline_ns)
        else:
            aggregator = aggregators[step.target.underlying]
            aggregator.unfollow(step.target.key)
            yield from aggregator.settle()


class _Stage:
    """All pipelines of one replay."""

    def __init__(self, scoring: ScoringSettings, preset: Preset, new_scorer: Callable[[], Scorer]) -> None:
        self._scoring = scoring
        self._preset = preset
        self._new_scorer = new_scorer
        self._cadence_ns = to_ns(scoring.cadence_s)
        self._pipelines: dict[str, MarketPipeline] = {}
        self._due_ns = 0

    def advance(self, now_ns: int) -> Iterator[Step]:
        """Fire every deadline up to ``now_ns``, all markets of one deadline before the next."""
        while self._pipelines and self._due_ns <= now_ns:
            for key in sorted(self._pipelines):
                yield from self._pipelines[key].advance(self._due_ns)
            self._due_ns += self._cadence_ns

    def receive(self, key: str, record: Record) -> Iterator[Step]:
        if isinstance(record, Followed):
            yield self._follow(key, record)
        pipeline = self._pipelines.get(key)
        if pipeline is None:
            raise RecordError(f"a record of {key}, which is not followed")
        yield from pipeline.receive(record)
        if isinstance(record, Unfollowed):
            yield Left(at_ns=record.at_ns, target=self._pipelines.pop(key).target)

    def _follow(self, key: str, record: Followed) -> Entered:
        if key in self._pipelines:
            raise RecordError(f"{key} is followed already")
        if not self._pipelines:
            self._due_ns = first_deadline(record.at_ns, self._cadence_ns)
        pipeline = MarketPipeline(
            record.target,
            followed_ns=record.at_ns,
            scoring=self._scoring,
            preset=self._preset,
            scorer=self._new_scorer(),
        )
        self._pipelines[key] = pipeline
        return Entered(at_ns=record.at_ns, target=record.target, deadline_ns=pipeline.next_deadline())
