"""The writer: lines go into parts, and whatever the disk does, what it holds can be read."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from attrs import frozen

from actors.tapes.blocks import MAX_TEXT_BYTES, Block, read_blocks
from actors.tapes.layout import DAY_NS, day_of
from actors.tapes.writer import TapeWriteError, TapeWriter, WriterSettings
from engine.markets import Outcome
from engine.records import Connected, Disconnected, Followed, Frame, LookupFailed, MarketUpdated, Unfollowed
from engine.settings import ScoringSettings
from engine.tape import UNSET, End, TapeHeader
from tests.actors.tapes.tape_texts import (
    CONDITION,
    DAY,
    KEY,
    MARKET,
    OTHER,
    TARGET,
    at,
    batch,
    files,
    following,
    frame,
    items_in,
    record,
)

FIRST = f"{DAY}/{KEY}.1.jsonl.zst"
SECOND = f"{DAY}/{KEY}.2.jsonl.zst"


def header_in(path: Path) -> TapeHeader:
    header = items_in(path)[0]
    assert isinstance(header, TapeHeader)
    return header


def failing_disk(monkeypatch: pytest.MonkeyPatch, *, room: int, error: int = errno.ENOSPC) -> list[int]:
    """A disk with so many bytes of room; the list's one number is what is left and may be changed."""
    left, real_write = [room], os.write

    def write(descriptor: int, data: bytes | memoryview) -> int:
        if left[0] <= 0:
            raise OSError(error, os.strerror(error))
        written = real_write(descriptor, bytes(data)[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", write)
    return left


def fault_of(writer: TapeWriter, entries: Sequence[tuple[str, bytes, int]]) -> TapeWriteError | None:
    try:
        writer.write(entries)
    except TapeWriteError as fault:
        return fault
    return None


def test_a_tape_is_a_header_the_records_and_an_end(tmp_path: Path) -> None:
    records = following()
    record(tmp_path, records)
    assert files(tmp_path) == [FIRST]
    header, *written, end = items_in(tmp_path / FIRST)
    assert written == records
    assert end == End(at_ns=records[-1].at_ns)
    assert isinstance(header, TapeHeader)
    assert (header.at_ns, header.version, header.key, header.part) == (at(0), 1, KEY, 1)
    assert (header.run, header.sequence, header.continues) == (at(0), 0, False)
    assert (header.target, header.market, header.epoch, header.outcome) == (UNSET, UNSET, UNSET, UNSET)
    assert header.software.startswith("updown")
    assert stat.S_IMODE((tmp_path / FIRST).stat().st_mode) == 0o600


def test_one_write_is_one_block_of_each_key_and_in_the_file_at_once(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path)
    writer.write([*batch(following()), *batch([frame(1), frame(2)], OTHER)])
    assert [piece.lines for piece in read_blocks(tmp_path / FIRST) if isinstance(piece, Block)] == [15]
    assert len(items_in(tmp_path / DAY / f"{OTHER}.1.jsonl.zst")) == 3
    assert writer.open_parts == {tmp_path / FIRST, tmp_path / DAY / f"{OTHER}.1.jsonl.zst"}
    writer.close()
    assert writer.open_parts == frozenset()


def test_mixed_keys_keep_their_own_order(tmp_path: Path) -> None:
    ours, theirs = batch([frame(n) for n in range(5)]), batch([frame(n) for n in range(5)], OTHER)
    with TapeWriter(tmp_path) as writer:
        writer.write([entry for pair in zip(ours, theirs, strict=True) for entry in pair])
    for key in (KEY, OTHER):
        assert items_in(tmp_path / DAY / f"{key}.1.jsonl.zst")[1:-1] == [frame(n) for n in range(5)]


def test_much_text_becomes_several_blocks(tmp_path: Path) -> None:
    with TapeWriter(tmp_path) as writer:
        writer.write(batch([frame(n, "x" * 100_000) for n in range(10)]))
    assert [piece.lines for piece in read_blocks(tmp_path / FIRST) if isinstance(piece, Block)] == [4, 3, 3, 1, 1]
    assert len(items_in(tmp_path / FIRST)) == 12


def test_the_header_says_by_what_it_was_scored(tmp_path: Path) -> None:
    scoring = ScoringSettings(preset="corrected", weights={"momentum": 0.5})
    with TapeWriter(tmp_path, scoring=scoring) as writer:
        writer.write(batch([frame(1)]))
    assert header_in(tmp_path / FIRST).scoring["preset"] == "corrected"
    assert header_in(tmp_path / FIRST).scoring["weights"] == {"momentum": 0.5}


def test_the_header_says_what_it_is_told_to(tmp_path: Path) -> None:
    with TapeWriter(tmp_path) as writer:
        writer.describe(KEY, source="capture", outcome=Outcome.DOWN, tokens="up_only")
        writer.write([*batch([frame(1)]), *batch([frame(1)], OTHER)])
    header = header_in(tmp_path / FIRST)
    assert (header.source, header.outcome, header.tokens) == ("capture", Outcome.DOWN, "up_only")
    assert header_in(tmp_path / DAY / f"{OTHER}.1.jsonl.zst").source is UNSET


@frozen(kw_only=True)
class RecorderSettings:
    rotate_mb: float = 0.0005


def test_a_part_that_is_large_enough_is_followed_by_one_that_continues_it(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path, RecorderSettings())
    records = [*following(0, 4)[:-1], *(frame(4 + n, os.urandom(200).hex()) for n in range(8))]
    for each in records:
        writer.write(batch([each]))
    writer.close()
    paths = [tmp_path / DAY / f"{KEY}.{n}.jsonl.zst" for n in range(1, len(files(tmp_path)) + 1)]
    assert len(paths) > 3
    headers = [header_in(path) for path in paths]
    assert [header.part for header in headers] == list(range(1, len(paths) + 1))
    assert [header.continues for header in headers] == [False] + [True] * (len(paths) - 1)
    assert {header.run for header in headers} == {at(0)}
    contents = [items_in(path) for path in paths]
    assert [header.sequence for header in headers] == [sum(map(len, contents[:n])) for n in range(len(paths))]
    assert all(isinstance(content[-1], End) for content in contents)
    assert [item for content in contents for item in content[1:-1]] == records
    assert (headers[-1].target, headers[-1].market, headers[-1].epoch) == (TARGET, MARKET, 1)


def test_the_standing_of_a_market_follows_its_records(tmp_path: Path) -> None:
    def standing(*items: object) -> tuple[object, ...]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        writer = TapeWriter(folder, WriterSettings(rotate_mb=0))
        writer.write(batch(items))  # type: ignore[arg-type]
        writer.write(batch([frame(9)]))
        writer.close()
        header = header_in(folder / SECOND)
        return header.continues, header.target, header.market, header.epoch

    begun = following()[:2]
    assert standing(*begun) == (True, TARGET, MARKET, UNSET)
    assert standing(*begun, Connected(at_ns=at(1), epoch=3)) == (True, TARGET, MARKET, 3)
    lost = Disconnected(at_ns=at(2), epoch=3, reason="closed")
    assert standing(*begun, Connected(at_ns=at(1), epoch=3), lost) == (True, TARGET, MARKET, UNSET)
    assert standing(*begun, Unfollowed(at_ns=at(2))) == (False, UNSET, UNSET, UNSET)
    assert standing(begun[0], LookupFailed(at_ns=at(1), reason="timeout")) == (True, TARGET, UNSET, UNSET)
    assert standing(*begun, MarketUpdated(at_ns=at(1), market=None)) == (True, TARGET, MARKET, UNSET)
    assert standing(*begun, Followed(at_ns=at(1), target=TARGET)) == (True, TARGET, UNSET, UNSET)


def test_the_header_is_written_again_every_minute(tmp_path: Path) -> None:
    records = following(0, 150)
    record(tmp_path, records, block=10)
    headers = [item for item in items_in(tmp_path / FIRST) if isinstance(item, TapeHeader)]
    assert [(header.at_ns, header.part, header.sequence, header.run) for header in headers] == [
        (at(seconds), 1, 0, at(0)) for seconds in (0, 67, 127)
    ]
    assert [(header.continues, header.market) for header in headers] == [(False, UNSET), (True, MARKET), (True, MARKET)]


def test_a_header_that_is_written_again_counts_the_parts_before_its_own(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path, WriterSettings(rotate_mb=0.0005))
    for seconds in (0, 1, 2, 70):
        writer.write(batch([frame(seconds, os.urandom(300).hex())]))
    writer.write(batch([frame(200)]))
    writer.close()
    sequences = [
        [item.sequence for item in items_in(tmp_path / DAY / f"{KEY}.{n}.jsonl.zst") if isinstance(item, TapeHeader)]
        for n in range(1, len(files(tmp_path)) + 1)
    ]
    assert all(len(set(of_part)) == 1 for of_part in sequences)
    assert sorted(sequences) == sequences


def test_midnight_begins_a_new_part_in_a_new_folder(tmp_path: Path) -> None:
    midnight = (at(0) // DAY_NS + 1) * DAY_NS
    before, after = Frame(at_ns=midnight - 1, text="before"), Frame(at_ns=midnight, text="after")
    with TapeWriter(tmp_path) as writer:
        writer.write(batch([*following()[:3], before, after]))
    tomorrow = day_of(midnight)
    assert files(tmp_path) == [FIRST, f"{tomorrow}/{KEY}.1.jsonl.zst"]
    assert items_in(tmp_path / FIRST)[-2:] == [before, End(at_ns=midnight - 1)]
    header, first, *_ = items_in(tmp_path / tomorrow / f"{KEY}.1.jsonl.zst")
    assert first == after
    assert isinstance(header, TapeHeader)
    assert (header.at_ns, header.part, header.continues, header.sequence) == (midnight, 1, True, 6)


def test_a_later_process_never_appends(tmp_path: Path) -> None:
    crashed = record(tmp_path, following()[:6], close=False)
    before = (tmp_path / FIRST).read_bytes()
    record(tmp_path, following(20, 25))
    assert (tmp_path / FIRST).read_bytes() == before
    assert items_in(tmp_path / SECOND)[1:-1] == following(20, 25)
    header = header_in(tmp_path / SECOND)
    assert (header.part, header.run, header.continues, header.sequence) == (2, at(20), False, 0)
    crashed.close()


def test_a_key_that_was_closed_begins_a_new_run(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path)
    writer.write(batch(following(0, 3)))
    writer.close(KEY)
    writer.close(KEY)
    writer.write(batch(following(5, 8)))
    writer.close()
    assert header_in(tmp_path / SECOND).run == at(5)
    assert not header_in(tmp_path / SECOND).continues


@pytest.mark.parametrize("room", [0, 10, 50, 200, 450, 500, 550, 600])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_loses_what_it_says_and_recording_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, error: int
) -> None:
    writer = TapeWriter(tmp_path)
    lines = following(0, 20)
    left = failing_disk(monkeypatch, room=room, error=error)
    written, lost = [], 0
    for begin in range(0, len(lines), 4):
        if begin == 16:
            left[0] = 1 << 30
        chunk = lines[begin : begin + 4]
        fault = fault_of(writer, batch(chunk))
        if fault is None:
            written += chunk
        else:
            assert (fault.errno, fault.lost) == (error, {KEY: len(chunk)})
            lost += len(chunk)
        if (tmp_path / FIRST).exists():
            assert not any(isinstance(item, str) for item in items_in(tmp_path / FIRST))
    writer.close()
    assert lost + len(written) == len(lines)
    assert 0 < lost < len(lines)
    assert files(tmp_path) == [FIRST]
    header, *items, end = items_in(tmp_path / FIRST)
    assert items == written
    assert end == End(at_ns=at(20))
    assert isinstance(header, TapeHeader)
    # What was lost before the first part is known to its header.
    assert (header.target, header.epoch) == ((UNSET, UNSET) if written[0] == lines[0] else (TARGET, 1))


def test_a_fault_of_one_key_is_none_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = TapeWriter(tmp_path)
    writer.write([*batch([frame(1)]), *batch([frame(1)], OTHER)])
    real_write, broken = os.write, next(run.part for key, run in writer._runs.items() if key == KEY)
    assert broken is not None

    def write(descriptor: int, data: bytes) -> int:
        if descriptor == broken.descriptor:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real_write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(TapeWriteError, match="Input/output error") as caught:
            writer.write([*batch([frame(2), frame(3)]), *batch([frame(2)], OTHER)])
    assert caught.value.lost == {KEY: 2}
    writer.close()
    assert items_in(tmp_path / FIRST)[1:-1] == [frame(1)]
    assert items_in(tmp_path / DAY / f"{OTHER}.1.jsonl.zst")[1:-1] == [frame(1), frame(2)]


def test_after_the_first_block_that_fails_nothing_later_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = TapeWriter(tmp_path)
    writer.write(batch(following()[:3]))
    writes, real_write = [0], os.write

    def write(descriptor: int, data: bytes) -> int:
        writes[0] += 1
        if writes[0] == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(TapeWriteError) as caught:
        writer.write(batch([frame(n, "x" * 300_000) for n in range(4)]))
    assert caught.value.lost == {KEY: 3}
    writer.close()
    assert items_in(tmp_path / FIRST)[4:-1] == [frame(0, "x" * 300_000)]


def test_a_part_that_cannot_be_cut_back_is_left_and_another_one_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    writer = TapeWriter(tmp_path)
    writer.write(batch(following()[:3]))
    with monkeypatch.context() as patch:
        failing_disk(patch, room=50)
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(TapeWriteError):
            writer.write(batch([frame(4)]))
    writer.write(batch([frame(5)]))
    writer.close()
    assert items_in(tmp_path / FIRST)[-1] == "torn"
    header = header_in(tmp_path / SECOND)
    assert (header.sequence, header.continues, header.epoch) == (4, True, 1)


def test_a_disk_that_fails_at_the_end_is_told_and_the_part_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = TapeWriter(tmp_path)
    writer.write(batch([frame(1)]))
    with monkeypatch.context() as patch:
        failing_disk(patch, room=5)
        with pytest.raises(TapeWriteError) as caught:
            writer.close()
    assert caught.value.lost == {}
    assert writer.open_parts == frozenset()
    assert items_in(tmp_path / FIRST)[1:] == [frame(1)]
    writer.close()


def test_a_disk_that_will_not_flush_at_rotation_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    writer = TapeWriter(tmp_path, WriterSettings(rotate_mb=0))
    writer.write(batch([frame(1)]))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(TapeWriteError) as caught:
            writer.write(batch([frame(2)]))
    assert caught.value.lost == {}
    writer.close()
    assert items_in(tmp_path / SECOND)[1:-1] == [frame(2)]


@pytest.mark.parametrize("key", ["../../etc/cron", "a/b", "", ".", "UPPER", "x" * 201, "a\0", "-rf"])
def test_a_key_that_is_none_is_refused_and_the_others_are_written(tmp_path: Path, key: str) -> None:
    writer = TapeWriter(tmp_path / "tapes")
    with pytest.raises(TapeWriteError, match="Invalid argument") as caught:
        writer.write([*batch([frame(1), frame(2)], key), *batch([frame(1)])])
    assert caught.value.lost == {key: 2}
    writer.close()
    assert files(tmp_path) == [f"tapes/{FIRST}"]


def test_a_condition_id_names_a_tape(tmp_path: Path) -> None:
    with TapeWriter(tmp_path) as writer:
        writer.write(batch([frame(1)], CONDITION))
    assert files(tmp_path) == [f"{DAY}/{CONDITION}.1.jsonl.zst"]


@pytest.mark.parametrize(
    "bad", [(b"", at(1)), (b"two\nlines", at(1)), (b"{}", -1), (b"{}", 2**63), (b"x" * MAX_TEXT_BYTES, at(1))]
)
def test_a_line_that_is_none_is_refused_alone(tmp_path: Path, bad: tuple[bytes, int]) -> None:
    writer = TapeWriter(tmp_path)
    with pytest.raises(TapeWriteError, match="Invalid argument") as caught:
        writer.write([*batch([frame(1)]), (KEY, *bad), *batch([frame(2)])])
    assert caught.value.lost == {KEY: 1}
    writer.close()
    assert items_in(tmp_path / FIRST)[1:-1] == [frame(1), frame(2)]


def test_a_line_it_does_not_understand_is_written_all_the_same(tmp_path: Path) -> None:
    with TapeWriter(tmp_path) as writer:
        writer.write([(KEY, b'{"kind":"rumour","at_ns":1}', at(1))])
    [block, _] = read_blocks(tmp_path / FIRST)
    assert isinstance(block, Block)
    assert block.text.endswith(b'{"kind":"rumour","at_ns":1}\n')


def test_a_folder_that_cannot_be_written_into_loses_everything_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "tapes").write_text("a file")
    writer = TapeWriter(tmp_path / "tapes")
    with pytest.raises(TapeWriteError) as caught:
        writer.write(batch([frame(1)]))
    assert caught.value.lost == {KEY: 1}
    (tmp_path / "tapes").unlink()
    writer.write(batch([frame(2)]))
    writer.close()
    assert items_in(tmp_path / "tapes" / FIRST)[1:-1] == [frame(2)]


PROGRAM = """
import sys
from pathlib import Path
from actors.tapes.writer import TapeWriter
from engine.records import Frame
from engine.tape import line_bytes

writer = TapeWriter(Path(sys.argv[1]))
key, at_ns, number = sys.argv[2], int(sys.argv[3]), 0
while True:
    frames = [Frame(at_ns=at_ns + number + n, text=str(number + n) * 50) for n in range(20)]
    writer.write([(key, line_bytes(frame), frame.at_ns) for frame in frames])
    number += 20
    print(number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_written(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), KEY, str(at(0))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = 0
        for line in process.stdout:
            told = int(line)
            if told >= 2000:
                break
        process.send_signal(signal.SIGKILL)
        told = max([told, *(int(line) for line in process.stdout.read().split("\n")[:-1])])
    items = items_in(tmp_path / FIRST)
    torn = items[-1] == "torn"
    frames = [item for item in items if isinstance(item, Frame)]
    assert len(frames) >= told
    assert [frame.at_ns - at(0) for frame in frames] == list(range(len(frames)))
    assert len(items) == 1 + len(frames) + torn


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("needs the right to mount")
    command = [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("no tmpfs to be had here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=20)


def test_a_disk_that_is_really_full(tiny_disk: Path) -> None:
    writer = TapeWriter(tiny_disk)
    kept, lost = [], 0
    for n in range(60):
        frames = [frame(n, os.urandom(4000).hex())]
        fault = fault_of(writer, batch(frames))
        if fault is None:
            kept += frames
        else:
            assert fault.errno == errno.ENOSPC
            lost += 1
            (tiny_disk / "ballast").unlink(missing_ok=True)
        if n == 2:
            (tiny_disk / "ballast").write_bytes(bytes(160 << 10))
    try:
        writer.close()
    except TapeWriteError:
        assert items_in(tiny_disk / FIRST)[1:] == kept
    else:
        assert items_in(tiny_disk / FIRST)[1:-1] == kept
    assert lost
