"""Recorded markets through pipelines and aggregates: in this process, or shared out to several, with the same result.

A market is scored by its own records alone, so markets are what is shared out. Their signals are put in order again,
and the aggregates are made of them, in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import Final

from attrs import frozen

from actors.captures import CaptureError, read_capture
from actors.cli.run import scorers_for
from actors.tally import Tally
from actors.tapes.finding import Tape
from actors.tapes.reader import staggered, start_ns, time_of
from actors.tapes.report import Examination, TapeReport
from engine.presets import Preset, choose_preset
from engine.records import Frame, Record, Unfollowed
from engine.replay import Step, conduct, place_of, replay, steps
from engine.scoring import Scorer, build_scorer
from engine.settings import Settings
from engine.signals import MarketSignals, Signal

STEP_MESSAGES: Final = 256
AHEAD: Final = 2
"""So many markets for each process are scored, or waited for, before their time has come."""

Watch = Callable[[int, int], object]
"""Is told every now and then of so many more bytes and messages that are done."""


@frozen(kw_only=True)
class Scored:
    """What one market said, and what its tape was like: a ``report``, or why it is ``torn`` for an older recording."""

    messages: int
    steps: Sequence[Step]
    report: TapeReport | None
    torn: str | None


def play(tapes: Sequence[Tape], settings: Settings, tally: Tally, watch: Watch, *, jobs: int = 1) -> Iterator[Signal]:
    """Every signal of the tapes, in order, counted on its way; ``jobs`` processes change no byte of it."""
    signals = _alone(tapes, settings, tally, watch) if jobs == 1 else _together(tapes, settings, tally, watch, jobs)
    for signal in signals:
        if isinstance(signal, MarketSignals):
            tally.signal(signal)
        yield signal


def score_tape(tape: Tape, settings: Settings) -> Scored:
    """Score one market, in whatever process."""
    reading = Reading(tape, lambda _, __: None)
    preset, new_scorer = _scoring(settings)
    said = list(steps(reading.pairs(), scoring=settings.scoring, preset=preset, new_scorer=new_scorer))
    return Scored(messages=reading.messages, steps=said, report=reading.report, torn=reading.torn)


class Reading:
    """Reads one tape, or recording of the older kind, through: ``pairs`` once, then the rest is known."""

    def __init__(self, tape: Tape, watch: Watch) -> None:
        self._tape = tape
        self._watch = watch
        self._told_bytes = self._told_messages = 0
        self.messages = 0
        self.report: TapeReport | None = None
        self.torn: str | None = None

    def pairs(self) -> Generator[tuple[str, Record]]:
        """The records with the tape's key, up to where it is torn: there its market is let go."""
        examination = Examination(self._tape)
        records = examination.records() if self._tape.capture is None else self._recorded()
        for record in records:
            if type(record) is Frame:
                self.messages += 1
                if self.messages % STEP_MESSAGES == 0:
                    self._tell(self._estimate() or examination.read_bytes)
            yield self._tape.key, record
        if self._tape.capture is None:
            self.report = examination.report()
        self._tell(size_of(self._tape))

    def _recorded(self) -> Iterator[Record]:
        at_ns = None
        assert self._tape.capture is not None
        try:
            for _, record in read_capture(self._tape.capture):
                at_ns = record.at_ns
                yield record
        except CaptureError as error:
            self.torn = str(error)
            if at_ns is not None:
                yield Unfollowed(at_ns=at_ns + 1)

    def _estimate(self) -> int:
        """How far an older recording has been read, if anybody knows how many messages it holds."""
        capture = self._tape.capture
        if capture is None or not capture.messages:
            return 0
        return round(size_of(self._tape) * min(self.messages / capture.messages, 1.0))

    def _tell(self, read_bytes: int) -> None:
        self._watch(read_bytes - self._told_bytes, self.messages - self._told_messages)
        self._told_bytes, self._told_messages = read_bytes, self.messages


def size_of(tape: Tape) -> int:
    """The bytes of its files, as far as they are there."""
    return sum(path.stat().st_size for path in tape.paths if path.exists())


def _alone(tapes: Sequence[Tape], settings: Settings, tally: Tally, watch: Watch) -> Iterator[Signal]:
    preset, new_scorer = _scoring(settings)

    def read(tape: Tape) -> Iterator[tuple[str, Record]]:
        reading = Reading(tape, watch)
        yield from reading.pairs()
        _note(tally, tape, reading)

    yield from replay(
        staggered(((start_ns(tape), partial(read, tape)) for tape in tapes), time_of),
        scoring=settings.scoring,
        preset=preset,
        new_scorer=new_scorer,
        aggregate=settings.aggregate,
    )


def _together(tapes: Sequence[Tape], settings: Settings, tally: Tally, watch: Watch, jobs: int) -> Iterator[Signal]:
    begins = [start_ns(tape) for tape in tapes]
    order = sorted(range(len(tapes)), key=lambda position: (begins[position], position))
    unsubmitted = iter(order)
    scored: dict[int, Future[Scored]] = {}

    # Spawned and not forked: a fork of a process that has threads may hang.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:

        def submit(markets: int) -> None:
            for position in islice(unsubmitted, markets):
                scored[position] = pool.submit(score_tape, tapes[position], settings)

        def said(position: int) -> Iterator[Step]:
            submit(1)
            result = scored.pop(position).result()
            watch(size_of(tapes[position]), result.messages)
            _note(tally, tapes[position], result)
            return iter(result.steps)

        try:
            submit(AHEAD * jobs)
            sources = ((begins[position], partial(said, position)) for position in range(len(tapes)))
            yield from conduct(staggered(sources, place_of), settings.aggregate)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _note(tally: Tally, tape: Tape, market: Scored | Reading) -> None:
    tally.frames(tape.key, market.messages)
    if market.report is not None:
        tally.examined(market.report)
    if market.torn is not None:
        tally.tear(tape.key, market.torn)


def _scoring(settings: Settings) -> tuple[Preset, Callable[[], Scorer]]:
    scorers = scorers_for(settings)
    preset = choose_preset(settings.scoring, scorers)
    return preset, partial(build_scorer, preset, scorers)


def total_bytes(tapes: Iterable[Tape]) -> int:
    """What is to be read."""
    return sum(map(size_of, tapes))
