"""Merging: many parts and folders of one recorder become one, and replay as before."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.labelbook import append_label, read_labels
from actors.tapes.finding import find_tapes, header_of
from actors.tapes.layout import DAY_NS
from actors.tapes.merging import merge_tapes
from actors.tapes.reader import read_tape
from actors.tapes.report import examine
from actors.tapes.writer import TapeWriter, WriterSettings
from engine.errors import TapeError
from engine.labels import Label, LabelSource, LabelStatus
from engine.markets import Outcome
from engine.records import Frame
from engine.settings import ScoringSettings
from engine.tape import UNSET
from tests.actors.tapes.tape_texts import CONDITION, DAY, KEY, OTHER, at, batch, files, following, frame, record
from tests.actors.tapes.test_finding import write_capture


def test_parts_days_and_folders_become_one_part_a_day(tmp_path: Path) -> None:
    midnight = (at(0) // DAY_NS + 1) * DAY_NS
    record(tmp_path / "a", following(0, 20), block=3, rotate_mb=0)
    writer = TapeWriter(tmp_path / "a", scoring=ScoringSettings(preset="corrected"))
    writer.write(batch([*following(30, 40)[:-1], Frame(at_ns=midnight, text="tomorrow")]))
    writer.close()
    record(tmp_path / "b", following(50, 60), key=OTHER)
    tapes = find_tapes([tmp_path / "a", tmp_path / "b"])
    before = [list(read_tape(tape)) for tape in tapes]
    reports = merge_tapes(tapes, tmp_path / "merged")
    assert [report.key for report in reports] == [KEY, OTHER]
    assert files(tmp_path / "merged") == [
        f"{DAY}/{KEY}.1.jsonl.zst",
        f"{DAY}/{OTHER}.1.jsonl.zst",
        f"2026-09-22/{KEY}.1.jsonl.zst",
    ]
    merged = find_tapes([tmp_path / "merged"])
    assert [list(read_tape(tape)) for tape in merged] == before
    assert all(examine(tape).intact for tape in merged)


def test_headers_and_labels_come_along(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path / "a", WriterSettings(rotate_mb=0), scoring=ScoringSettings(preset="corrected"))
    writer.describe(KEY, source="capture", outcome=Outcome.UP, tokens="up_only")
    writer.write(batch(following()))
    writer.write(batch(following(20, 22)))
    writer.close()
    label = Label(
        condition_id=CONDITION,
        slug=KEY,
        status=LabelStatus.RESOLVED,
        outcome=Outcome.DOWN,
        resolved_by=LabelSource.GAMMA,
        at_ns=at(400),
    )
    append_label(tmp_path / "a", label)
    merge_tapes(find_tapes([tmp_path / "a"]), tmp_path / "b")
    [tape] = find_tapes([tmp_path / "b"])
    header = header_of(tape.parts[0])
    assert header is not None
    assert (header.source, header.outcome, header.tokens) == ("capture", Outcome.UP, "up_only")
    assert header.scoring["preset"] == "corrected"
    assert dict(read_labels(tmp_path / "b")) == {CONDITION: label}
    assert tape.outcome is Outcome.DOWN


@given(seed=st.integers(0, 10**9))
def test_a_merged_tape_replays_as_the_damaged_ones_do(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = random.Random(seed)
    folder = tmp_path_factory.mktemp("merging")
    record(folder / "a", following(0, 40), block=chance.choice([1, 3, 9]), rotate_mb=chance.choice([64.0, 0.0]))
    record(folder / "a", following(60, 75), block=4)
    for part in sorted((folder / "a" / DAY).iterdir()):
        content = bytearray(part.read_bytes())
        begin, what = chance.randrange(len(content)), chance.randrange(7)
        if what == 0:
            del content[begin:]
        elif what == 1:
            content[begin] ^= 1 << chance.randrange(8)
        elif what == 2:
            del content[begin : begin + chance.randrange(400)]
        elif what == 3:
            content += chance.randbytes(30)
        part.unlink()
        part.write_bytes(content)
    tapes = find_tapes([folder / "a"])
    reports = merge_tapes(tapes, folder / "b")
    before = [list(read_tape(tape)) for tape in tapes if list(read_tape(tape))]
    merged = find_tapes([folder / "b"]) if before else []
    assert [list(read_tape(tape)) for tape in merged] == before
    for report, tape in zip(reports, merged, strict=False):
        again = examine(tape)
        assert again.missing == report.missing
        assert again.damages == again.torn == ()
        assert again.gaps == report.gaps


def test_what_was_missing_is_said_in_its_place(tmp_path: Path) -> None:
    record(tmp_path / "a", following(0, 20), block=4)
    [tape] = find_tapes([tmp_path / "a"])
    content = bytearray(tape.parts[0].read_bytes())
    content[600] ^= 1
    tape.parts[0].write_bytes(content)
    [report] = merge_tapes([tape], tmp_path / "b")
    [lost] = examine(find_tapes([tmp_path / "b"])[0]).lost
    assert (lost.records, lost.reason) == (report.missing, "merged")
    assert lost.at_ns < lost.until_ns


def test_a_tape_of_nothing_makes_no_file(tmp_path: Path) -> None:
    (tmp_path / "a" / DAY).mkdir(parents=True)
    (tmp_path / "a" / DAY / f"{KEY}.1.jsonl.zst").touch()
    [report] = merge_tapes(find_tapes([tmp_path / "a"]), tmp_path / "b")
    assert report.records == {}
    assert not (tmp_path / "b").exists()


def test_what_cannot_be_merged_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    record(tmp_path / "good", following(), key=OTHER)
    good = find_tapes([tmp_path / "good"])
    target = tmp_path / "merged"
    record(tmp_path / "two", following(0, 10))
    record(tmp_path / "recorders", following(5, 15))
    record(tmp_path / "foreign", following())
    strange = tmp_path / "foreign" / DAY / f"{KEY}.2.jsonl.zst"
    strange.write_bytes((tmp_path / "good" / DAY / f"{OTHER}.1.jsonl.zst").read_bytes())
    cases = [
        (find_tapes([write_capture(tmp_path / "captures")]), target, "to be imported first"),
        (find_tapes([tmp_path / "two"]), tmp_path / "two", "the folder it is from"),
        (find_tapes([tmp_path / "two"]), tmp_path / "recorders", "already"),
        (find_tapes([tmp_path / "two", tmp_path / "recorders"]), target, "followings that overlap"),
        (find_tapes([tmp_path / "foreign"]), target, "parts of another market or version"),
    ]
    for bad, folder, complaint in cases:
        before = files(folder) if folder.exists() else []
        with pytest.raises(TapeError, match=complaint):
            merge_tapes([*good, *bad], folder)
        assert (files(folder) if folder.exists() else []) == before


def test_two_recorders_one_after_the_other_are_one_tape(tmp_path: Path) -> None:
    record(tmp_path / "b", following(0, 10))
    record(tmp_path / "a", following(20, 30))
    merge_tapes(find_tapes([tmp_path / "a", tmp_path / "b"]), tmp_path / "c")
    [tape] = find_tapes([tmp_path / "c"])
    assert [item for _, item in read_tape(tape)] == [*following(0, 10), *following(20, 30)]
    header = header_of(tape.parts[0])
    assert header is not None
    assert header.target is UNSET
    assert frame(0).at_ns == header.at_ns
