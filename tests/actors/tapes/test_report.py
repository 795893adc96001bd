"""The report: everything that is missing, and nothing that is not."""

from __future__ import annotations

import json
from pathlib import Path

from attrs import evolve

from actors.tapes.finding import Tape, find_tapes
from actors.tapes.reader import Lines, read_pieces, read_tape
from actors.tapes.report import Examination, TapeReport, examine
from actors.tapes.writer import TapeWriter
from engine.markets import Outcome
from engine.records import Disconnected
from engine.tape import Lost, line_bytes
from tests.actors.tapes.tape_texts import DAY, KEY, OTHER, at, batch, following, frame, record
from tests.actors.tapes.test_finding import CAPTURED, write_capture

FIRST = Path(DAY) / f"{KEY}.1.jsonl.zst"


def report_of(folder: Path) -> TapeReport:
    [tape] = find_tapes([folder])
    return examine(tape)


def test_an_intact_tape_has_no_problems(tmp_path: Path) -> None:
    record(tmp_path, [*following(0, 10), *following(20, 30)])
    report = report_of(tmp_path)
    assert report.intact
    assert list(report.problems()) == []
    assert report.records == {"followed": 2, "market": 2, "connected": 2, "frame": 20, "unfollowed": 2}
    assert (report.key, report.followings, report.gaps, report.missing) == (KEY, 2, 0, 0)
    assert (report.first_ns, report.last_ns) == (at(0), at(30))
    assert report.size_bytes == (tmp_path / FIRST).stat().st_size
    assert report.blocks == len([it for it in read_pieces(report.parts) if isinstance(it, Lines)])


def test_an_empty_tape_is_torn_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / DAY).mkdir()
    (tmp_path / FIRST).touch()
    report = report_of(tmp_path)
    assert (report.records, report.first_ns, report.last_ns) == ({}, None, None)
    assert list(report.problems()) == [f"{tmp_path / FIRST}: has no last line: it was cut off, or is being written"]


def test_a_tape_that_is_being_written_is_torn_so_far(tmp_path: Path) -> None:
    writer = record(tmp_path, following(), close=False)
    assert report_of(tmp_path).torn == (tmp_path / FIRST,)
    writer.close()
    assert report_of(tmp_path).intact


def test_damage_is_named_with_its_place_and_its_cost(tmp_path: Path) -> None:
    record(tmp_path, following(0, 20), block=4)
    content = bytearray((tmp_path / FIRST).read_bytes())
    blocks = [it.block for it in read_pieces([tmp_path / FIRST]) if isinstance(it, Lines)]
    content[blocks[2].offset + 50] ^= 1
    (tmp_path / FIRST).write_bytes(content[: blocks[-1].offset + 7])
    report = report_of(tmp_path)
    assert not report.intact
    assert (report.missing, report.gaps) == (4, 1)
    assert report.torn == (tmp_path / FIRST,)
    [damaged, torn] = report.damages
    assert str(damaged) == (
        f"{tmp_path / FIRST}: damaged, {blocks[2].length} bytes at offset {blocks[2].offset}: 4 lines are lost"
    )
    assert str(torn).endswith(f"torn, 7 bytes at offset {blocks[-1].offset}: an unknown number of lines is lost")


def test_what_cannot_be_read_is_named_with_what_the_system_says(tmp_path: Path) -> None:
    (tmp_path / FIRST).mkdir(parents=True)
    assert "unreadable (not a file), 0 bytes at offset 0" in next(report_of(tmp_path).problems())
    assert examine(Tape(key=KEY, parts=(tmp_path / "none",))).size_bytes == 0


def test_what_the_recorder_lost_is_told_in_its_words(tmp_path: Path) -> None:
    record(tmp_path, [*following()[:5], Lost(at_ns=at(2), records=70, until_ns=at(3), reason="disk_full")])
    report = report_of(tmp_path)
    assert report.missing == 70
    assert "70 records up to 2026-09-21T14:30:03+00:00 never reached the tape: disk_full" in list(report.problems())


def test_parts_that_are_not_there_are_missed(tmp_path: Path) -> None:
    record(tmp_path, following(0, 20), block=8, rotate_mb=0)
    (tmp_path / DAY / f"{KEY}.2.jsonl.zst").unlink()
    report = report_of(tmp_path)
    assert (report.absent, report.missing, report.gaps) == (10, 10, 1)
    assert f"{KEY}: 10 lines are in parts that are not here, or at the damaged end of one" in list(report.problems())
    (tmp_path / FIRST).unlink()
    assert report_of(tmp_path).absent == 20


def test_everything_that_is_left_out_is_counted(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path)
    writer.write([*batch(following(0, 10)), (KEY, b'{"kind":"rumour","at_ns":1}', at(10)), *batch([frame(1)])])
    writer.close()
    record(tmp_path, following(5, 7))
    other = record(tmp_path, following(11, 12), key=OTHER)
    assert other.open_parts == frozenset()
    (tmp_path / DAY / f"{OTHER}.1.jsonl.zst").rename(tmp_path / DAY / f"{KEY}.3.jsonl.zst")
    report = report_of(tmp_path)
    assert (report.unreadable, report.misplaced, report.overlapping, report.foreign) == (1, 1, 6, 1)
    said = "\n".join(report.problems())
    for what in ("not understood", "out of place", "overlaps another one", "of another market"):
        assert what in said


def test_it_is_plain_json(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path)
    writer.describe(KEY, source="capture", outcome=Outcome.UP)
    writer.write(batch(following()))
    writer.close()
    plain = report_of(tmp_path).as_json()
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["outcome"], plain["label"], plain["intact"], plain["problems"]) == ("Up", None, True, [])


def test_recordings_of_the_older_kind_are_examined_too(tmp_path: Path) -> None:
    path = write_capture(tmp_path, won="1", messages=200)
    [tape] = find_tapes([path])
    report = examine(tape)
    assert report.intact
    assert (report.key, report.records["frame"], report.outcome) == (CAPTURED, 200, Outcome.UP)
    path.write_bytes(path.read_bytes()[:-30])
    torn = examine(tape)
    assert not torn.intact
    assert "torn" in next(torn.problems())


def test_what_is_examined_is_what_is_read(tmp_path: Path) -> None:
    record(tmp_path, following(0, 20), block=4)
    content = (tmp_path / FIRST).read_bytes()
    (tmp_path / FIRST).write_bytes(content[:700] + content[720:])
    [tape] = find_tapes([tmp_path])
    examination = Examination(tape)
    records = list(examination.records())
    assert records == [item for _, item in read_tape(tape)]
    assert examination.holes == 1
    assert examination.missing == examination.report().missing == 4
    assert sum(isinstance(item, Disconnected) for item in records) == 1
    assert evolve(examination.report()) == examine(tape)
    assert line_bytes(records[0])
