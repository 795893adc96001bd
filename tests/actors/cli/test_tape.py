"""``updown tape``: five things to do with tapes, in words and as JSON, and how each fails."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.cli import main
from actors.labelbook import NAME
from actors.tapes import find_tapes
from tests.actors.cli.test_replay import RISING
from tests.actors.cli.test_replay import record as record_capture
from tests.actors.tapes.tape_texts import KEY, OTHER, following, record
from tests.engine.wire_texts import SLUG


def told(capsys: pytest.CaptureFixture[str], *words: str | Path, code: int = 0) -> Any:
    capsys.readouterr()
    assert main(["tape", *map(str, words), "-o", "json"]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out or captured.err)


def damaged(folder: Path) -> Path:
    """A tape with a hole in its middle."""
    record(folder, following(0, 30))
    [part] = folder.glob("*/*.zst")
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 0xFF
    part.write_bytes(data)
    return part


def test_info_is_a_row_for_each_market(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, following(0, 10))
    record(tmp_path, following(5, 15), key=OTHER)
    assert main(["tape", "info", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["market", "parts", "bytes", "records"]
    assert lines[1].startswith(f"{KEY}  1")
    assert "2026-09-21 14:30:00" in lines[1]
    assert lines[3].startswith("2 markets, ")
    assert len(lines) == 5
    assert "updown tape verify" in lines[4]


def test_info_as_json_is_the_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, following(0, 10))
    [report] = told(capsys, "info", tmp_path)
    assert (report["key"], report["intact"], report["records"]["frame"]) == (KEY, True, 10)


def test_what_is_whole_is_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, following(0, 10))
    assert told(capsys, "verify", tmp_path) == {"tapes": 1, "intact": True, "problems": []}
    assert main(["tape", "verify", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("ok: 1 markets, 14 records")


def test_damage_is_named_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = damaged(tmp_path)
    assert main(["tape", "verify", str(tmp_path)]) == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(f"{part}: damaged")
    assert "at offset" in first
    assert told(capsys, "verify", tmp_path, code=1)["intact"] is False


def test_a_label_book_with_damage_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, following(0, 10))
    (tmp_path / NAME).write_text("{}\n")
    assert told(capsys, "verify", tmp_path, code=1)["problems"] == [f"{tmp_path / NAME}: 1 lines hold no label"]


def test_a_torn_recording_is_verified_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_capture(tmp_path, RISING) / f"{SLUG}.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-8])
    [problem] = told(capsys, "verify", path, code=1)["problems"]
    assert f"{path}:41: the file is torn here" in problem


def test_parts_are_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "a", following(0, 10))
    record(tmp_path / "b", following(20, 30))
    merged = told(capsys, "merge", tmp_path / "a", tmp_path / "b", "--into", tmp_path / "c")
    assert (merged["tapes"], merged["problems"]) == (1, [])
    [tape] = find_tapes([tmp_path / "c"])
    assert len(tape.parts) == 1
    failure = told(capsys, "merge", tmp_path / "a", "--into", tmp_path / "c", code=1)
    assert "has a tape of" in failure["message"]


def test_recordings_are_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_capture(tmp_path, RISING, manifest="40,1")
    assert main(["tape", "import", str(tmp_path), "--into", str(tmp_path / "tapes")]) == 0
    assert f"imported 1 markets, 44 records into {tmp_path / 'tapes'}" in capsys.readouterr().out
    [report] = told(capsys, "info", tmp_path / "tapes")
    assert report["outcome"] == "Up"
    failure = told(capsys, "import", tmp_path / "tapes", "--into", tmp_path / "x", code=1)
    assert "is a tape already" in failure["message"]


def test_what_could_be_read_is_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = gzip.decompress((record_capture(tmp_path, RISING) / f"{SLUG}.jsonl.gz").read_bytes())
    (tmp_path / f"{SLUG}.jsonl.gz").write_bytes(gzip.compress(lines + b"{}\n"))
    imported = told(capsys, "import", tmp_path, "--into", tmp_path / "tapes", code=1)
    assert imported["records"] == 44
    assert ":41" in imported["problems"][0]


def test_records_are_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    record(tmp_path, following(0, 10))
    target = tmp_path / "all.parquet"
    assert told(capsys, "export", tmp_path, "--to", target) == {"file": str(target), "tapes": 1, "rows": 14}
    assert parquet.read_table(target).num_rows == 14


def test_an_export_without_the_library_names_the_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    record(tmp_path, following(0, 10))
    assert main(["tape", "export", str(tmp_path), "--to", str(tmp_path / "x.parquet")]) == 1
    assert "pip install 'updown[export]'" in capsys.readouterr().err


def test_a_disk_that_refuses_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_capture(tmp_path, RISING)
    (tmp_path / "file").write_text("in the way")
    assert main(["tape", "import", str(tmp_path), "--into", str(tmp_path / "file")]) == 1
    assert "updown: " in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["info"], ["mend", "."], ["merge", "."], ["export", ".", "--into", "x"]])
def test_what_is_not_understood_is_bad_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tape", *words]) == 2
    assert "usage: updown tape" in capsys.readouterr().err


def test_where_nothing_is_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tape", "info", str(tmp_path / "absent")]) == 1
    assert "no such file or folder" in capsys.readouterr().err
