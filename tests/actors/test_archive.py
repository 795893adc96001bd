"""The archive: what is recorded, what is labelled, and what is taken up again after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from attrs import evolve

import actors.recorder
from actors.archive import recorded_lately
from actors.clock import PacedClock
from actors.labelbook import append_label, read_labels
from actors.tapes import find_tapes
from engine.labels import LabelStatus
from engine.settings import RecordingSettings, Settings
from engine.units import NS_PER_S
from tests.actors.local_venue import QUARTER_S, QUIET, follow, rig


@pytest.fixture
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> PacedClock:
    """A clock that runs by itself: an autojump clock would jump while a thread writes."""
    monkeypatch.setattr(actors.recorder, "CLOSING_S", 12_000.0)  # a thread works in the wall's time
    return PacedClock(200.0)


RESOLVING = evolve(QUIET, resolve_after_s=90.0)


def recording(folder: Path, *, labels: bool = True) -> Settings:
    return follow("btc-5m", recording=RecordingSettings(record=True, folder=str(folder), labels=labels))


async def written(folder: Path, count: int) -> None:
    with trio.fail_after(10_000):
        while len(read_labels(folder)) < count:  # noqa: ASYNC110 - a thread sets no event
            await trio.sleep(1.0)


async def test_a_market_that_ended_is_recorded_and_labelled(fast_clock: PacedClock, tmp_path: Path) -> None:
    async with rig(recording(tmp_path), seconds=-20, options=RESOLVING):
        await written(tmp_path, 1)
    [label] = [it for it in read_labels(tmp_path).values() if it.slug == f"btc-updown-5m-{QUARTER_S - 300}"]
    assert label.status is LabelStatus.RESOLVED
    [tape] = [it for it in find_tapes([tmp_path]) if it.key == label.slug]
    assert tape.outcome is label.outcome


async def test_a_market_without_label_is_taken_up_by_the_next_process(fast_clock: PacedClock, tmp_path: Path) -> None:
    async with rig(recording(tmp_path), seconds=-20, options=RESOLVING):
        await trio.sleep(30)
    assert len(read_labels(tmp_path)) == 0
    async with rig(recording(tmp_path), seconds=400, options=RESOLVING):
        await written(tmp_path, 2)
    slugs = {label.slug for label in read_labels(tmp_path).values()}
    assert {f"btc-updown-5m-{QUARTER_S - 300}", f"btc-updown-5m-{QUARTER_S}"} <= slugs


async def test_nothing_is_written_unless_it_is_wished(fast_clock: PacedClock, tmp_path: Path) -> None:
    async with rig(evolve(follow("btc-5m"), recording=RecordingSettings(folder=str(tmp_path))), seconds=-20) as live:
        await trio.sleep(20)
        assert live.engine.health().recorder is None
    async with rig(recording(tmp_path / "tapes", labels=False), seconds=-20):
        await trio.sleep(20)
    assert {path.parents[1].name for path in tmp_path.rglob("*.zst")} == {"tapes"}  # noqa: ASYNC240
    assert not (tmp_path / "tapes" / "labels.jsonl").exists()


async def test_only_today_and_yesterday_are_looked_at(fast_clock: PacedClock, tmp_path: Path) -> None:
    async with rig(recording(tmp_path, labels=False), seconds=-20):
        await trio.sleep(60)
    now_ns = QUARTER_S * NS_PER_S
    slugs = [target.slug for target, _ in recorded_lately(tmp_path, now_ns)]
    assert slugs == sorted(f"btc-updown-5m-{QUARTER_S + offset}" for offset in (-300, 0))
    assert recorded_lately(tmp_path, now_ns + 86_400 * NS_PER_S)
    assert recorded_lately(tmp_path, now_ns + 2 * 86_400 * NS_PER_S) == []
    assert recorded_lately(tmp_path / "nowhere", now_ns) == []


async def test_a_damaged_book_of_labels_is_told_and_used(fast_clock: PacedClock, tmp_path: Path) -> None:
    async with rig(recording(tmp_path), seconds=-20, options=RESOLVING):
        await written(tmp_path, 1)
    [label] = read_labels(tmp_path).values()
    with (tmp_path / "labels.jsonl").open("ab") as book:
        book.write(b"{torn")
    async with rig(recording(tmp_path), seconds=100, options=RESOLVING):
        await trio.sleep(20)
    append_label(tmp_path, label)
    assert len(read_labels(tmp_path)) == 1
