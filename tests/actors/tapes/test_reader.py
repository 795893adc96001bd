"""The reader: what was recorded replays as it was live, and what was cut replays up to the cut."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from actors.tapes.finding import Tape, find_tapes
from actors.tapes.mending import Mending
from actors.tapes.reader import mended, merged, read_pieces, read_tape
from actors.tapes.writer import TapeWriter, WriterSettings
from engine.envelope import envelope_line
from engine.presets import PRESETS
from engine.records import Connected, Disconnected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.replay import replay
from engine.scoring import build_scorer
from engine.settings import AggregateSettings, ScoringSettings
from engine.signals import MarketSignals, Signal
from engine.tape import Lost, items_of, line_bytes
from engine.units import NS_PER_S
from tests.actors.local_venue import follow, rig
from tests.actors.tapes.tape_texts import DAY, KEY, MARKET, OTHER, at, batch, following, frame, record
from tests.actors.tapes.test_finding import write_capture
from tests.engine.wire_texts import book, change, trade

RECORDS = get_args(Record)
Pairs = Sequence[tuple[str, Record]]


def signals_of(pairs: Iterator[tuple[str, Record]] | Pairs) -> list[Signal]:
    preset = PRESETS["seed"]
    return list(
        replay(
            pairs,
            scoring=ScoringSettings(),
            preset=preset,
            new_scorer=lambda: build_scorer(preset),
            aggregate=AggregateSettings(),
        )
    )


def lines(signals: Sequence[Signal], *, until_ns: int | None = None, target: str | None = None) -> list[str]:
    return [
        envelope_line(signal)
        for signal in signals
        if (until_ns is None or signal.as_of_ns <= until_ns)
        and (target is None or (isinstance(signal, MarketSignals) and signal.target == target))
    ]


def put_on_tape(folder: Path, pairs: Pairs, *, flush_s: float = 0.25, rotate_mb: float = 64.0) -> None:
    """As a recorder does: everything that came within a while is one batch."""
    with TapeWriter(folder, WriterSettings(rotate_mb=rotate_mb)) as writer:
        waiting: list[tuple[str, bytes, int]] = []
        for key, item in pairs:
            if waiting and item.at_ns - waiting[0][2] > flush_s * NS_PER_S:
                writer.write(waiting)
                waiting = []
            waiting.append((key, line_bytes(item), item.at_ns))
        writer.write(waiting)


@pytest.mark.untraced
async def test_a_live_tape_replays_byte_for_byte(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with rig(follow("btc-5m", "btc-15m"), seconds=-80) as running:
        await trio.sleep(20)
        running.venue.faults.disconnect()
        await trio.sleep(30)
        running.venue.faults.down = True
        await trio.sleep(8)
        running.venue.faults.down = False
        await trio.sleep(100)
        running.engine.unfollow("btc-5m")
        await trio.sleep(3)
        running.engine.follow("btc-5m")
        await trio.sleep(60)
    live = [signal for signal in running.signals if isinstance(signal, MarketSignals)]
    assert len(live) > 60
    for rotate_mb in (64.0, 0.002):
        folder = tmp_path / str(rotate_mb)
        put_on_tape(folder, running.tape, rotate_mb=rotate_mb)
        tapes = find_tapes([folder])
        for tape in tapes:
            assert list(read_tape(tape)) == [pair for pair in running.tape if pair[0] == tape.key]
        replayed = signals_of(merged(tapes))
        assert lines(replayed) == lines(signals_of(running.tape))
        for target in {signal.target for signal in live}:
            # The last signals of a market that is let go may not have been taken up by the test before its end.
            told = lines(running.of(target))
            assert lines(replayed, target=target)[: len(told)] == told
        assert (len(tapes[0].parts) > 3) is (rotate_mb < 1)


def journal(seed: int) -> list[Record]:
    """What a market's actor may have seen in two minutes, from a seed."""
    chance = random.Random(seed)
    records: list[Record] = following(0, 0)[:3]
    now_s, epoch, connected = 0.0, 1, True
    records.append(frame(0, book()))
    for _ in range(120):
        now_s += chance.choice([0.0, 0.1, 0.5, 1.0, 2.5])
        if chance.random() < 0.05:
            connected = not connected
            epoch += connected
            gone = Disconnected(at_ns=at(now_s), epoch=epoch, reason="closed", dropped=chance.randrange(3))
            records.append(Connected(at_ns=at(now_s), epoch=epoch) if connected else gone)
        elif connected:
            size = str(chance.randrange(1, 2000))
            side = chance.choice(["BUY", "SELL"])
            text = chance.choice(
                [trade("0.5", size, side=side), book(), change("0.5", size, "BUY", "0.5", "0.51"), "PONG"]
            )
            records.append(frame(now_s, text))
    return [*records, Unfollowed(at_ns=at(now_s + 3))]


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(3))
def test_a_tape_cut_at_any_byte_replays_up_to_the_cut(tmp_path: Path, seed: int) -> None:
    records = journal(seed)
    record(tmp_path, records, block=random.Random(seed).choice([1, 5, 12]))
    [tape] = find_tapes([tmp_path])
    [part] = tape.parts
    content = part.read_bytes()
    uncut = [(KEY, item) for item in records]
    assert list(read_tape(tape)) == uncut
    whole = signals_of(uncut)
    blocks = [piece.block for piece in read_pieces(tape.parts) if hasattr(piece, "block")]
    ends = [block.offset + block.length for block in blocks]
    counts = [sum(isinstance(item, RECORDS) for item in items_of(block.text)) for block in blocks]
    chance = random.Random(seed)
    cuts = {
        *range(300),
        *range(len(content) - 300, len(content) + 1),
        *(chance.randrange(len(content)) for _ in range(400)),
    }
    assert len(cuts) > 800
    seen: dict[int, list[tuple[str, Record]]] = {}
    short = tmp_path / "cut" / part.name
    short.parent.mkdir()
    for cut in sorted(cuts):
        short.unlink(missing_ok=True)
        short.write_bytes(content[:cut])
        left = list(read_tape(Tape(key=KEY, parts=(short,))))
        # Every whole block before the cut, and nothing of the torn one.
        count = sum(held for held, end in zip(counts, ends, strict=True) if end <= cut)
        expected = uncut[:count]
        if 0 < count < len(records):
            expected = [*expected, (KEY, Unfollowed(at_ns=records[count - 1].at_ns + 1))]
        assert left == expected, cut
        seen[count] = left
    assert len(seen) > 5
    for count, left in seen.items():
        if count:
            until_ns = records[count - 1].at_ns
            assert lines(signals_of(left), until_ns=until_ns) == lines(whole, until_ns=until_ns)
            assert len(signals_of(left)) - len(lines(whole, until_ns=until_ns)) in (0, 2)


def test_damage_in_the_middle_costs_the_block_and_is_a_gap(tmp_path: Path) -> None:
    records = following(0, 30)
    record(tmp_path, records, block=4)
    [tape] = find_tapes([tmp_path])
    [part] = tape.parts
    content = bytearray(part.read_bytes())
    third = [piece.block for piece in read_pieces([part]) if hasattr(piece, "block")][2]
    content[third.offset + third.length - 1] ^= 1
    part.write_bytes(content)
    left = [item for _, item in read_tape(tape)]
    hole = [
        Disconnected(at_ns=records[7].at_ns, epoch=1, reason="hole", dropped=4),
        Connected(at_ns=records[12].at_ns, epoch=1),
    ]
    assert left == [*records[:8], *hole, *records[12:]]


def test_when_the_first_block_is_damaged_the_market_is_known_a_minute_later(tmp_path: Path) -> None:
    records = following(0, 200)
    record(tmp_path, records, block=20)
    [tape] = find_tapes([tmp_path])
    content = bytearray(tape.parts[0].read_bytes())
    content[60] ^= 1
    tape.parts[0].write_bytes(content)
    left = [item for _, item in read_tape(tape)]
    known = next(item for item in left if isinstance(item, MarketUpdated))
    assert at(60) <= known.at_ns <= at(80)
    assert (len(left), known) == (len(records) - 20 + 3, MarketUpdated(at_ns=known.at_ns, market=MARKET))


@given(seed=st.integers(0, 10**9))
def test_whatever_becomes_of_the_files_they_replay(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("mangled")
    record(folder, following(0, 40), block=chance.choice([1, 3, 9]), rotate_mb=chance.choice([64.0, 0.0007, 0.0]))
    record(folder, following(30, 50), block=4)
    record(folder, following(60, 65), block=2)
    for part in (folder / DAY).iterdir():
        content = bytearray(part.read_bytes())
        what = chance.randrange(8)
        begin = chance.randrange(len(content))
        if what == 0:
            del content[begin:]
        elif what == 1:
            content[begin] ^= 1 << chance.randrange(8)
        elif what == 2:
            del content[begin : begin + chance.randrange(300)]
        elif what == 3:
            content[begin:begin] = chance.randbytes(chance.randrange(300))
        elif what == 4:
            content += content[begin:]
        elif what == 5:
            content.clear()
        part.unlink()
        if what == 6 and any((folder / DAY).iterdir()):
            continue
        part.write_bytes(content)
    [tape] = find_tapes([folder])
    left = list(read_tape(tape))
    signals_of(left)
    instants = [item.at_ns for _, item in left]
    assert instants == sorted(instants)
    recorded = {line_bytes(item) for item in [*following(0, 40), *following(30, 50), *following(60, 65)]}
    assert all(line_bytes(item) in recorded for _, item in left if isinstance(item, Frame))


def test_what_is_no_file_and_what_was_deleted_meanwhile_reads_as_nothing(tmp_path: Path) -> None:
    day = tmp_path / DAY
    (day / f"{KEY}.1.jsonl.zst").mkdir(parents=True)
    (day / f"{KEY}.2.jsonl.zst").symlink_to("/dev/zero")
    (day / f"{KEY}.3.jsonl.zst").symlink_to(tmp_path / "nowhere")
    (day / f"{KEY}.4.jsonl.zst").touch()
    record(tmp_path, following())
    [tape] = find_tapes([tmp_path])
    assert len(tape.parts) == 5
    assert [item for _, item in read_tape(tape)] == following()
    for part in tape.parts[3:]:
        part.unlink()
    assert list(read_tape(tape)) == []


def test_what_the_recorder_lost_is_a_gap(tmp_path: Path) -> None:
    records = following()
    note = Lost(at_ns=at(3), records=9, until_ns=at(4), reason="disk_full")
    record(tmp_path, [*records[:6], note, *records[8:]])
    [tape] = find_tapes([tmp_path])
    left = [item for _, item in read_tape(tape)]
    assert left[6:8] == [
        Disconnected(at_ns=at(2), epoch=1, reason="hole", dropped=9),
        Connected(at_ns=at(5), epoch=1),
    ]


def test_a_tape_that_begins_in_the_middle_goes_by_its_header(tmp_path: Path) -> None:
    record(tmp_path, following(0, 20), block=8, rotate_mb=0)
    [tape] = find_tapes([tmp_path])
    left = [item for _, item in read_tape(Tape(key=KEY, parts=tape.parts[1:]))]
    whole = following(0, 20)
    assert [type(item).__name__ for item in left[:3]] == ["Followed", "MarketUpdated", "Connected"]
    assert left[3:] == whole[8:]
    assert isinstance(left[0], Followed)
    assert left[0].target == whole[0].target  # type: ignore[union-attr]


def test_trailing_garbage_behind_a_clean_end_is_no_gap(tmp_path: Path) -> None:
    record(tmp_path, following(0, 20), block=8, rotate_mb=0)
    [tape] = find_tapes([tmp_path])
    with tape.parts[0].open("ab") as file:
        file.write(b"garbage")
    assert [item for _, item in read_tape(tape)] == following(0, 20)


def test_recordings_of_the_older_kind_read_alike(tmp_path: Path) -> None:
    path = write_capture(tmp_path, messages=200)
    [tape] = find_tapes([path])
    records = [item for _, item in read_tape(tape)]
    assert [type(item) for item in (records[0], records[-1])] == [Followed, Unfollowed]
    assert sum(isinstance(item, Frame) for item in records) == 200
    path.write_bytes(path.read_bytes()[:-30])
    torn = [item for _, item in read_tape(tape)]
    assert torn[:-1] == records[: len(torn) - 1]
    assert torn[-1] == Unfollowed(at_ns=torn[-2].at_ns + 1)
    path.write_bytes(b"nothing")
    assert list(read_tape(tape)) == []
    assert list(merged([tape])) == []


def test_several_tapes_come_in_the_order_of_time(tmp_path: Path) -> None:
    record(tmp_path, following(0, 10))
    record(tmp_path, following(4, 14), key=OTHER)
    late = "sol-updown-5m-1790001000"
    record(tmp_path, following(12, 20), key=late)
    capture = write_capture(tmp_path / "captures")
    tapes = find_tapes([tmp_path / DAY, capture])
    # The other keys are of tapes of another market: what they follow is misplaced there and resumed by their name.
    pairs = list(merged(tapes))
    assert [item.at_ns for _, item in pairs] == sorted(item.at_ns for _, item in pairs)
    for tape in tapes:
        assert [pair for pair in pairs if pair[0] == tape.key] == list(read_tape(tape))
    assert {key for key, _ in pairs} == {KEY, OTHER, late, capture.name.split(".")[0]}


def test_tapes_that_follow_each_other_are_not_open_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"btc-updown-5m-{1_790_001_000 + 300 * n}" for n in range(5)]
    for n, key in enumerate(keys):
        with TapeWriter(tmp_path) as writer:
            writer.write(batch([frame(300 * n + k) for k in range(3)], key))
    tapes = find_tapes([tmp_path])
    open_now, most = set[str](), 0

    def watched(tape: Tape) -> Iterator[tuple[str, Record]]:
        nonlocal most
        open_now.add(tape.key)
        most = max(most, len(open_now))
        yield from read_tape(tape)
        open_now.discard(tape.key)

    monkeypatch.setattr("actors.tapes.reader.read_tape", watched)
    assert len(list(merged(reversed(tapes)))) == 5 * (3 + 3)
    assert (most, open_now) == (1, set())


def test_nothing_is_merged_from_nothing(tmp_path: Path) -> None:
    (tmp_path / DAY).mkdir()
    (tmp_path / DAY / f"{KEY}.1.jsonl.zst").touch()
    assert list(merged(find_tapes([tmp_path]))) == list(merged([])) == []
    assert list(merged([Tape(key=KEY)])) == []


def test_a_tape_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    with TapeWriter(tmp_path) as writer:
        writer.write(batch([frame(n, os.urandom(50_000).hex()) for n in range(100)]))
    [tape] = find_tapes([tmp_path])
    records = mended(read_pieces(tape.parts), Mending(KEY))
    assert isinstance(next(records), Followed)
    tape.parts[0].write_bytes(b"")
    assert sum(isinstance(item, Frame) for item in records) < 50
