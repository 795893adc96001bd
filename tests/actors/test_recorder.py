"""The recorder: everything on tape, losses named where they are, and nobody held up."""

from __future__ import annotations

import errno
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import structlog
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

import actors.recorder
from actors.clock import Clock, PacedClock
from actors.recorder import FLUSH_S, RecorderActor
from actors.tapes import examine, find_tapes, merged, read_tape
from actors.tapes.writer import TapeWriteError, TapeWriter
from engine.envelope import envelope_line
from engine.presets import choose_preset
from engine.records import Connected, Followed, Frame, Record, Unfollowed
from engine.replay import replay
from engine.scoring import build_scorer
from engine.settings import RecordingSettings, ScoringSettings
from tests.actors.local_venue import QUARTER_S, follow, rig
from tests.engine.wire_texts import SLUG, TARGET, at

RATE = 100.0
"""How much faster the clock runs than the wall: an autojump clock would jump while a thread writes."""


def recorder(folder: Path, **settings: float) -> RecorderActor:
    clock = Clock(wall_ns=at(0), trio_time=trio.current_time())
    chosen = RecordingSettings(record=True, folder=str(folder), **settings)
    return RecorderActor(chosen, scoring=ScoringSettings(), clock=clock, log=structlog.get_logger())


@asynccontextmanager
async def running(actor: RecorderActor) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(actor.run)
        yield
        nursery.cancel_scope.cancel()


def records(count: int, *, text: str = "PONG", first: int = 0) -> list[Record]:
    return [Frame(at_ns=at(1) + first + number, text=text) for number in range(count)]


def on_tape(folder: Path) -> list[Record]:
    [tape] = find_tapes([folder])
    return [record for _, record in read_tape(tape)]


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what a thread brings about."""
    with trio.fail_after(60 * RATE):
        while not holds():  # noqa: ASYNC110 - a thread sets no event
            await trio.sleep(FLUSH_S)


@pytest.fixture
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> PacedClock:
    monkeypatch.setattr(actors.recorder, "CLOSING_S", 60 * RATE)  # a thread works in the wall's time
    return PacedClock(RATE)


BEGINNING: list[Record] = [Followed(at_ns=at(0), target=TARGET), Connected(at_ns=at(0) + 1, epoch=1)]


async def test_what_is_taken_is_on_the_tape_when_it_ends(fast_clock: PacedClock, tmp_path: Path) -> None:
    actor = recorder(tmp_path)
    taken = [*BEGINNING, *records(100), Unfollowed(at_ns=at(2))]
    async with running(actor):
        for record in taken:
            actor.take(SLUG, record)
    assert on_tape(tmp_path) == taken
    health = actor.health()
    assert (health.written, health.lost, health.waiting_bytes, health.fault) == (len(taken), 0, 0, None)


async def test_a_line_waits_a_moment_only(fast_clock: PacedClock, tmp_path: Path) -> None:
    actor = recorder(tmp_path)
    async with running(actor):
        for record in BEGINNING:
            actor.take(SLUG, record)
        await until(lambda: actor.health().written > 0)
        assert on_tape(tmp_path)[:2] == BEGINNING


async def test_the_end_of_a_market_ends_its_part(fast_clock: PacedClock, tmp_path: Path) -> None:
    actor = recorder(tmp_path)
    async with running(actor):
        for record in [*BEGINNING, Unfollowed(at_ns=at(2))]:
            actor.take(SLUG, record)
        await until(lambda: actor.health().written > 0)
        await trio.sleep(FLUSH_S * 4)
        [tape] = find_tapes([tmp_path])
        assert examine(tape).torn == ()
        for record in [Followed(at_ns=at(3), target=TARGET), Unfollowed(at_ns=at(4))]:
            actor.take(SLUG, record)
    [tape] = find_tapes([tmp_path])
    assert len(tape.parts) == 2
    assert examine(tape).followings == 2


async def test_what_finds_no_room_is_counted_and_named_where_it_is_missing(
    fast_clock: PacedClock, tmp_path: Path
) -> None:
    actor = recorder(tmp_path, queue_mb=1.0)
    for record in BEGINNING:
        actor.take(SLUG, record)
    frames = records(300, text="x" * 10_000)
    for record in frames:
        actor.take(SLUG, record)
    lost = actor.health().lost
    assert 0 < lost < 300
    async with running(actor):
        await until(lambda: actor.health().written > 0)
        actor.take(SLUG, Frame(at_ns=at(2), text="PONG"))
    [tape] = find_tapes([tmp_path])
    report = examine(tape)
    assert [(it.records, it.reason) for it in report.lost] == [(lost, "queue_full")]
    assert on_tape(tmp_path)[-2:] == [Frame(at_ns=at(2), text="PONG"), Unfollowed(at_ns=at(2) + 1)]


async def test_a_record_that_has_no_line_is_counted(fast_clock: PacedClock, tmp_path: Path) -> None:
    actor = recorder(tmp_path)
    actor.take(SLUG, Frame(at_ns=at(1), text="\ud800"))
    assert actor.health().lost == 1


async def test_a_full_disk_costs_nothing_as_long_as_there_is_room_to_wait(
    fast_clock: PacedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, full = TapeWriter.write, True

    def refuse(writer: TapeWriter, batch: Sequence[tuple[str, bytes, int]]) -> None:
        if full:
            fault = OSError(errno.ENOSPC, "No space left on device")
            raise TapeWriteError(fault, {SLUG: len(batch)})
        write(writer, batch)

    monkeypatch.setattr(TapeWriter, "write", refuse)
    actor = recorder(tmp_path)
    taken = [*BEGINNING, *records(50)]
    with capture_logs() as logs:
        async with running(actor):
            for record in taken:
                actor.take(SLUG, record)
            await until(lambda: actor.health().fault is not None)
            assert actor.health().fault == "enospc"
            full = False
            await until(lambda: actor.health().fault is None)
    assert on_tape(tmp_path)[:-1] == taken
    assert actor.health().lost == 0
    events = [log["event"] for log in logs]
    assert events.count("recorder.degraded") == 1
    assert events.count("recorder.recovered") == 1


async def test_lines_that_no_tape_takes_are_given_up(
    fast_clock: PacedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(writer: TapeWriter, batch: Sequence[tuple[str, bytes, int]]) -> None:
        raise TapeWriteError(OSError(errno.EINVAL, "Invalid argument"), {SLUG: 1})

    actor = recorder(tmp_path)
    monkeypatch.setattr(TapeWriter, "write", refuse)
    async with running(actor):
        for record in BEGINNING:
            actor.take(SLUG, record)
        await until(lambda: actor.health().fault is not None)
        monkeypatch.undo()
        for record in records(1):
            actor.take(SLUG, record)
    assert actor.health().lost == 1
    assert actor.health().waiting_bytes == 0


async def test_a_hanging_disk_holds_nobody_up(
    fast_clock: PacedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = threading.Event()
    monkeypatch.setattr(actors.recorder, "CLOSING_S", 2.0)
    monkeypatch.setattr(TapeWriter, "write", lambda writer, batch: hanging.wait())
    actor = recorder(tmp_path)
    try:
        async with running(actor):
            for record in BEGINNING:
                actor.take(SLUG, record)
            await trio.sleep(FLUSH_S * 10)
            for record in records(1000):
                actor.take(SLUG, record)
            await wait_all_tasks_blocked()
            begin = trio.current_time()
        assert trio.current_time() - begin < 10 * RATE, "the end waits for two seconds, not for the disk"
    finally:
        hanging.set()


async def test_old_days_are_deleted_while_it_runs(fast_clock: PacedClock, tmp_path: Path) -> None:
    old = tmp_path / "2020-01-01" / "btc-updown-15m-1577836800.1.jsonl.zst"
    old.parent.mkdir()
    old.write_bytes(b"")
    actor = recorder(tmp_path, keep_days=1.0)
    async with running(actor):
        await until(lambda: not old.exists())


async def test_a_recorded_engine_replays_to_the_signals_it_gave(fast_clock: PacedClock, tmp_path: Path) -> None:
    settings = follow("btc-5m", recording=RecordingSettings(record=True, folder=str(tmp_path), labels=False))
    async with rig(settings, seconds=-20) as live:
        await trio.sleep(60)
        health = live.engine.health().recorder
        assert health is not None
        assert health.lost == 0
    preset = choose_preset(settings.scoring)
    again = replay(
        merged(find_tapes([tmp_path])),
        scoring=settings.scoring,
        preset=preset,
        new_scorer=partial(build_scorer, preset, {}),
        aggregate=settings.aggregate,
    )
    lines = {envelope_line(signal) for signal in again}
    assert live.signals
    assert live.signals[0].as_of_ns < QUARTER_S * 10**9
    assert {envelope_line(signal) for signal in live.signals} <= lines
    assert {envelope_line(aggregate) for aggregate in live.aggregates} <= lines


async def test_what_a_thread_is_at_when_it_ends_is_counted(
    fast_clock: PacedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_it, go_on = threading.Event(), threading.Event()

    def slowly(writer: TapeWriter, batch: Sequence[tuple[str, bytes, int]]) -> None:
        at_it.set()
        go_on.wait(10.0)
        write(writer, batch)

    write = TapeWriter.write
    monkeypatch.setattr(TapeWriter, "write", slowly)
    actor = recorder(tmp_path)
    async with running(actor):
        actor.take(SLUG, Followed(at_ns=at(0), target=TARGET))
        await until(at_it.is_set)
        threading.Timer(0.05, go_on.set).start()
    health = actor.health()
    assert (health.written, health.waiting_bytes, health.records) == (1, 0, {SLUG: 1})
    assert isinstance(on_tape(tmp_path)[0], Followed)


async def test_what_is_followed_again_at_once_goes_on_in_the_same_part(fast_clock: PacedClock, tmp_path: Path) -> None:
    followed = [Followed(at_ns=at(0), target=TARGET), Unfollowed(at_ns=at(1)), Followed(at_ns=at(1), target=TARGET)]
    actor = recorder(tmp_path)
    async with running(actor):
        for record in followed:
            actor.take(SLUG, record)
        await until(lambda: actor.health().written == 3)
        actor.take(SLUG, Frame(at_ns=at(2), text="PONG"))
        actor.take(SLUG, Unfollowed(at_ns=at(3)))
    [tape] = find_tapes([tmp_path])
    assert (len(tape.parts), examine(tape).intact) == (1, True)
    assert on_tape(tmp_path)[:3] == followed
