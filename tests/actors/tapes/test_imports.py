"""Recordings of the older kind become tapes that replay alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.captures import find_captures, read_capture
from actors.tapes.finding import find_tapes, header_of
from actors.tapes.imports import import_capture
from actors.tapes.reader import read_tape
from actors.tapes.report import examine
from engine.errors import TapeError
from engine.markets import Outcome
from engine.records import Frame, Unfollowed
from tests.actors.tapes.tape_texts import files
from tests.actors.tapes.test_finding import CAPTURED, write_capture


def test_a_recording_becomes_a_tape(tmp_path: Path) -> None:
    [capture] = find_captures(write_capture(tmp_path / "captures", won="0", messages=300))
    imported = import_capture(capture, tmp_path / "tapes")
    assert (imported.key, imported.problem, imported.records) == (CAPTURED, None, 304)
    [tape] = find_tapes([tmp_path / "tapes"])
    assert tape.parts == imported.parts
    assert list(read_tape(tape)) == list(read_capture(capture))
    assert tape.outcome is Outcome.DOWN
    header = header_of(tape.parts[0])
    assert header is not None
    assert (header.source, header.outcome, header.tokens) == ("capture", Outcome.DOWN, "up_only")
    assert examine(tape).intact


def test_without_a_manifest_nobody_won(tmp_path: Path) -> None:
    [capture] = find_captures(write_capture(tmp_path / "captures"))
    import_capture(capture, tmp_path / "tapes")
    [tape] = find_tapes([tmp_path / "tapes"])
    header = header_of(tape.parts[0])
    assert header is not None
    assert (header.outcome, tape.outcome) == (None, None)


def test_what_comes_before_damage_is_imported_and_the_rest_is_missed(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "captures", won="1", messages=300)
    path.write_bytes(path.read_bytes()[:-40])
    [capture] = find_captures(path)
    imported = import_capture(capture, tmp_path / "tapes")
    assert imported.problem is not None
    assert "torn" in imported.problem
    [tape] = find_tapes([tmp_path / "tapes"])
    records = [item for _, item in read_tape(tape)]
    frames = sum(isinstance(item, Frame) for item in records)
    assert imported.records == len(records) == frames + 4
    assert isinstance(records[-1], Unfollowed)
    report = examine(tape)
    assert report.missing == 300 - frames > 0
    assert [lost.reason for lost in report.lost] == ["cut_off"]


def test_a_recording_that_is_none_leaves_no_tape(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "captures")
    path.write_bytes(b"nonsense")
    [capture] = find_captures(path)
    imported = import_capture(capture, tmp_path / "tapes")
    assert (imported.records, imported.parts) == (0, ())
    assert imported.problem
    assert files(tmp_path / "tapes") == []


def test_a_market_is_imported_once(tmp_path: Path) -> None:
    [capture] = find_captures(write_capture(tmp_path / "captures"))
    import_capture(capture, tmp_path / "tapes")
    with pytest.raises(TapeError, match="already"):
        import_capture(capture, tmp_path / "tapes")
    assert len(files(tmp_path / "tapes")) == 1


def test_a_recorded_market_reads_alike_as_a_tape(tmp_path: Path, captures: Path) -> None:
    capture = find_captures(captures)[0]
    imported = import_capture(capture, tmp_path)
    [tape] = find_tapes([tmp_path])
    assert list(read_tape(tape)) == list(read_capture(capture))
    assert (imported.problem, tape.outcome) == (None, Outcome.UP if capture.up_won else Outcome.DOWN)
