"""The archive of one engine: the recorder of its tapes and the labels beside them, as its settings say."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import trio
from structlog.typing import FilteringBoundLogger

from actors.child import ChildSpec
from actors.clock import Clock
from actors.health import RecorderHealth
from actors.labelbook import LabelBook, read_labels
from actors.labels import Court, LabelActor
from actors.recorder import RecorderActor
from actors.tapes.finding import find_tapes
from actors.tapes.layout import DAY_NS, day_of
from actors.tapes.reader import read_tape
from actors.taps import Taps
from engine.errors import TapeError
from engine.markets import Market, Target
from engine.records import Followed, MarketUpdated
from engine.settings import Settings


class Archive:
    """Both actors, looking on by ``taps``; nothing at all unless ``recording.record`` is set."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        court: Court,
        rng: random.Random,
        taps: Taps,
        log: FilteringBoundLogger,
    ) -> None:
        recording = settings.recording
        self._folder = Path(recording.folder)
        self._clock = clock
        self._log = log
        self._recorder: RecorderActor | None = None
        self._labels: LabelActor | None = None
        if recording.record:
            self._recorder = RecorderActor(recording, scoring=settings.scoring, clock=clock, log=log)
            taps.add(self._recorder.take)
        if recording.record and recording.labels:
            self._labels = LabelActor(clock=clock, rest=court, book=LabelBook(self._folder), rng=rng, log=log)
            taps.add(self._labels.take)

    def children(self) -> Iterator[ChildSpec]:
        """What is to be supervised; to be started before, and so stopped after, everybody who is recorded."""
        if self._recorder is not None:
            yield ChildSpec(name="recorder", run=self._recorder.run, counts=False)
        if self._labels is not None:
            yield ChildSpec(name="labels", run=partial(self._label, self._labels), counts=False)

    def health(self) -> RecorderHealth | None:
        """How the recorder does; ``None`` if there is none."""
        return None if self._recorder is None else self._recorder.health()

    async def _label(self, actor: LabelActor, task_status: trio.TaskStatus[None]) -> None:
        """Take up what an earlier process left without a label, then label what is followed."""
        async with trio.open_nursery() as nursery:
            await nursery.start(actor.run)
            task_status.started()
            in_thread = partial(trio.to_thread.run_sync, abandon_on_cancel=True)
            labels = await in_thread(read_labels, self._folder)
            if labels.problem or labels.damaged:
                self._log.warning("labels.damaged", lines=labels.damaged, problem=labels.problem)
            actor.take_up(await in_thread(recorded_lately, self._folder, self._clock.now_ns()), labels)


def recorded_lately(folder: Path, now_ns: int) -> list[tuple[Target, Market]]:
    """The markets on the tapes of today and yesterday (UTC), as they were first learnt of."""
    days = [folder / day_of(now_ns - ago_ns) for ago_ns in (DAY_NS, 0)]
    found: list[tuple[Target, Market]] = []
    try:
        tapes = find_tapes(day for day in days if day.is_dir())
    except TapeError:
        return []
    for tape in tapes:
        target: Target | None = None
        for _, record in read_tape(tape):
            if isinstance(record, Followed):
                target = record.target
            elif isinstance(record, MarketUpdated) and record.market is not None and target is not None:
                found.append((target, record.market))
                break
    return found
