"""The dataset: many markets, each studied at its decision times and joined with its official outcome.

A market is studied by a plain function of plain values, so that the markets can be shared out to all cores. Nothing
here needs a library of numbers.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from enum import StrEnum
from functools import partial
from itertools import chain
from multiprocessing import get_context
from typing import Final

from attrs import evolve, field, frozen

from actors.captures import Capture, read_capture
from actors.plugins import discover
from engine.attendance import FeedFacts
from engine.decisions import Decision
from engine.errors import UpdownError
from engine.markets import Market, Outcome, Target
from engine.presets import PRESETS, Preset, choose_preset
from engine.records import Followed, MarketUpdated, Record
from engine.scoring import Scorer, build_scorer
from engine.settings import ScoringSettings
from engine.study import DEFAULT_LATENCIES_S, Study, default_at_s
from engine.units import to_seconds

BASELINE: Final = "seed"
"""The preset that is always studied, because its score is one of the baselines."""


class Status(StrEnum):
    """What is known of an outcome; only ``RESOLVED`` markets are judged, the others are excluded and counted."""

    RESOLVED = "resolved"
    VOID = "void"
    AMBIGUOUS = "ambiguous"
    UNRESOLVED = "unresolved"
    UNLABELLED = "unlabelled"


def _fitting(instance: Label, attribute: object, value: Status) -> None:
    if (value is Status.RESOLVED) is not (instance.outcome is not None):
        raise ValueError(f"a label is either resolved and has an outcome or neither: {value}, {instance.outcome}")


@frozen(kw_only=True)
class Label:
    """The official outcome of one market, whatever the venue resolved: a tie is its Up."""

    outcome: Outcome | None = None
    status: Status = field(default=Status.UNLABELLED, converter=Status, validator=_fitting)

    @classmethod
    def of(cls, outcome: Outcome | str | None) -> Label:
        """A resolved label, or none at all."""
        return cls() if outcome is None else cls(outcome=Outcome(outcome), status=Status.RESOLVED)


def settled(opened: float, closed: float) -> Label:
    """The outcome by the venue's rule of a slot that opened and closed at these prices: a tie is Up."""
    return Label.of(Outcome.UP if closed >= opened else Outcome.DOWN)


@frozen(kw_only=True)
class MarketSource:
    """One market to study: ``read`` gives its ``(key, record)`` pairs and must be picklable.

    ``weight`` is about how much work it is, in any unit: the largest markets are begun first.
    """

    key: str
    read: Callable[[], Iterable[tuple[str, Record]]]
    label: Label = field(factory=Label)
    weight: int = 0


def capture_source(capture: Capture) -> MarketSource:
    """A capture with the outcome that its manifest names."""
    outcome = None if capture.up_won is None else Outcome.UP if capture.up_won else Outcome.DOWN
    return MarketSource(
        key=capture.slug, read=partial(read_capture, capture), label=Label.of(outcome), weight=capture.messages or 0
    )


def _ascending(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(values))


def _distinct(instance: Plan, attribute: object, value: tuple[ScoringSettings, ...]) -> None:
    names = [scoring.preset for scoring in value]
    if not names or len({*names}) < len(names):
        raise ValueError(f"name at least one preset, and each once (found: {', '.join(names) or 'none'})")


@frozen(kw_only=True)
class Plan:
    """What to ask of every market.

    ``variants`` are the presets with their windows and weights. ``at_s`` are decision times in seconds from the slot's
    start, ``None``: the usual ones for the slot's length. ``latencies_s`` are seconds after a decision, ascending.
    """

    variants: tuple[ScoringSettings, ...] = field(validator=_distinct)
    at_s: tuple[float, ...] | None = None
    latencies_s: tuple[float, ...] = field(default=DEFAULT_LATENCIES_S, converter=_ascending)

    @property
    def studied(self) -> tuple[ScoringSettings, ...]:
        """The variants and, if it is none of them, the baseline preset with the first one's window."""
        if any(scoring.preset == BASELINE for scoring in self.variants):
            return self.variants
        return (*self.variants, evolve(self.variants[0], preset=BASELINE, weights={}, options={}))


@frozen(kw_only=True)
class MarketStudy:
    """One market studied: its decisions of every preset, by preset and time.

    ``tokens`` is how many of the two tokens the recording knows, 0 without metadata. ``problem`` says why it could not
    be read to its end.
    """

    key: str
    label: Label
    decisions: tuple[Decision, ...] = ()
    feed: FeedFacts = field(factory=FeedFacts)
    tokens: int = 0
    problem: str | None = None


@frozen(kw_only=True)
class Dataset:
    """The studied markets by the start of their slots."""

    plan: Plan
    markets: tuple[MarketStudy, ...]

    @property
    def excluded(self) -> Mapping[str, int]:
        """How many markets have no outcome to judge by, by status."""
        return Counter(
            market.label.status.value for market in self.markets if market.label.status is not Status.RESOLVED
        )

    @property
    def problems(self) -> list[str]:
        """What could not be read, one sentence each."""
        return [f"{market.key}: {market.problem}" for market in self.markets if market.problem is not None]


def build(
    sources: Sequence[MarketSource],
    plan: Plan,
    *,
    jobs: int | None = None,
    done: Callable[[MarketStudy], None] | None = None,
) -> Dataset:
    """Study every source on ``jobs`` cores (``None``: all there are); ``done`` is told of each market as it is.

    Raises ``ValueError`` when two sources have one key, and ``PresetError`` for a variant that cannot be had.
    """
    for scoring in plan.studied:
        _formulas(scoring)
    keys = Counter(source.key for source in sources)
    if twice := [key for key, count in keys.items() if count > 1]:
        raise ValueError(f"given twice: {', '.join(sorted(twice)[:5])}")
    studies = []
    for market in _studied(sources, plan, min(jobs or _cores(), len(sources))):
        studies.append(market)
        if done is not None:
            done(market)
    return Dataset(plan=plan, markets=tuple(sorted(studies, key=_by_start)))


def study_market(source: MarketSource, plan: Plan) -> MarketStudy:
    """One market under every preset of the plan, in one pass; what cannot be read ends it there."""
    formulas = [(scoring, *_formulas(scoring)) for scoring in plan.studied]
    studies: list[Study] = []
    tokens = 0
    problem = None
    try:
        target, market, records = _introduced(record for _, record in source.read())
        if target is not None:
            studies = [_new_study(target, market, plan, *each) for each in formulas]
        for record in records:
            if isinstance(record, MarketUpdated) and record.market is not None:
                tokens = len(record.market.asset_ids)
            for study in studies:
                study.receive(record)
    except (UpdownError, OSError, ValueError) as error:
        problem = str(error)
    return MarketStudy(
        key=source.key,
        label=source.label,
        decisions=tuple(decision for study in studies for decision in study.decisions()),
        feed=studies[0].feed() if studies else FeedFacts(),
        tokens=tokens,
        problem=problem if problem or studies else "no record says what was followed",
    )


def _introduced(records: Iterator[Record]) -> tuple[Target | None, Market | None, Iterator[Record]]:
    """The target, metadata as far as the target's own bounds need them, and all the records again."""
    target = market = None
    head = []
    for record in records:
        head.append(record)
        if isinstance(record, Followed) and target is None:
            target = record.target
        elif isinstance(record, MarketUpdated) and market is None:
            market = record.market
        if target is not None and (target.start_ns is not None or market is not None):
            break
    return target, market, chain(head, records)


def _formulas(scoring: ScoringSettings) -> tuple[Preset, Scorer]:
    plugins = {} if scoring.preset in PRESETS else discover()
    preset = choose_preset(scoring, plugins)
    return preset, build_scorer(preset, plugins)


def _new_study(
    target: Target, market: Market | None, plan: Plan, scoring: ScoringSettings, preset: Preset, scorer: Scorer
) -> Study:
    return Study(
        target,
        at_s=_decision_times(target, market) if plan.at_s is None else plan.at_s,
        scoring=scoring,
        preset=preset,
        scorer=scorer,
        latencies_s=plan.latencies_s,
        market=market,
    )


def _decision_times(target: Target, market: Market | None) -> tuple[float, ...]:
    bounds = target if market is None or market.start_ns is None else market
    if bounds.start_ns is None or bounds.end_ns is None:
        raise ValueError(f"{target.key}: its length is not known; name the decision times")
    return default_at_s(to_seconds(bounds.end_ns - bounds.start_ns))


def _studied(sources: Sequence[MarketSource], plan: Plan, jobs: int) -> Iterator[MarketStudy]:
    largest_first = sorted(sources, key=lambda source: -source.weight)
    if jobs <= 1:
        yield from (study_market(source, plan) for source in largest_first)
        return
    # Spawned and not forked: a fork of a process that has threads may hang.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(study_market, source, plan) for source in largest_first]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _by_start(market: MarketStudy) -> tuple[int, str]:
    return market.decisions[0].start_ns if market.decisions else 0, market.key


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
