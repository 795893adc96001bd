"""Finding tapes wherever they are."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from attrs import evolve

from actors.captures import CaptureError
from actors.labelbook import append_label
from actors.tapes.blocks import encode_block
from actors.tapes.finding import find_tapes, header_of
from actors.tapes.layout import DAY_NS
from actors.tapes.writer import TapeWriter
from engine.errors import TapeError
from engine.labels import Label, LabelSource, LabelStatus
from engine.markets import Outcome
from engine.records import Frame
from engine.tape import End, line_bytes
from tests.actors.tapes.tape_texts import CONDITION, DAY, KEY, OTHER, START_S, at, batch, following, frame, record

CAPTURED = f"btc-updown-5m-{START_S + 300}"


def names(folder: Path, *keys: str) -> list[Path]:
    return [folder / DAY / f"{key}.jsonl.zst" for key in keys]


def write_capture(folder: Path, slug: str = CAPTURED, *, won: str | None = None, messages: int = 3) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    raw = json.dumps({"event_type": "book", "market": CONDITION, "asset_id": "1", "bids": [], "asks": []})
    path = folder / f"{slug}.jsonl.gz"
    with gzip.open(path, "wt") as file:
        for n in range(messages):
            file.write(json.dumps({"recv_ts": START_S + 300 + n, "raw": raw}) + "\n")
    if won is not None:
        (folder / "manifest.csv").write_text(f"slug,messages,recorded_asset_won\n{slug},{messages},{won}\n")
    return path


def test_a_folder_a_day_and_a_file_are_found(tmp_path: Path) -> None:
    record(tmp_path, following())
    record(tmp_path, following(), key=OTHER)
    (tmp_path / DAY / "notes.txt").touch()
    (tmp_path / "notes.txt").touch()
    for where in (tmp_path, tmp_path / DAY):
        assert [tape.key for tape in find_tapes([where])] == [KEY, OTHER]
        assert find_tapes([where])[0].parts == (tmp_path / DAY / f"{KEY}.1.jsonl.zst",)
    [tape] = find_tapes([tmp_path / DAY / f"{OTHER}.1.jsonl.zst"])
    assert tape.key == OTHER


def test_parts_are_in_the_order_of_their_days_and_numbers(tmp_path: Path) -> None:
    midnight = (at(0) // DAY_NS + 1) * DAY_NS
    writer = record(tmp_path, [frame(n) for n in range(12)], block=1, rotate_mb=0, close=False)
    writer.write(batch([Frame(at_ns=midnight + n, text="") for n in range(2)]))
    writer.close()
    [tape] = find_tapes([tmp_path])
    assert [(part.parent.name, part.name.split(".")[1]) for part in tape.parts] == [
        *((DAY, str(n)) for n in range(1, 13)),
        ("2026-09-22", "1"),
    ]


def test_a_path_given_twice_is_found_once(tmp_path: Path) -> None:
    record(tmp_path, following())
    [tape] = find_tapes([tmp_path, tmp_path / DAY, tmp_path / DAY / f"{KEY}.1.jsonl.zst"])
    assert len(tape.parts) == 1


def test_parts_of_one_market_from_several_folders_are_one_tape(tmp_path: Path) -> None:
    record(tmp_path / "b", following(0, 5))
    record(tmp_path / "a", following(20, 25))
    [tape] = find_tapes([tmp_path / "a", tmp_path / "b"])
    assert [part.parent.parent.name for part in tape.parts] == ["b", "a"]


def test_the_parts_of_one_run_stay_together(tmp_path: Path) -> None:
    first = record(tmp_path, following(0, 5)[:-1], block=9, rotate_mb=0, close=False)
    second = TapeWriter(tmp_path)
    second.write(batch(following(2, 4)))
    first.write(batch([frame(6)]))
    first.close()
    second.close()
    [tape] = find_tapes([tmp_path])
    assert [part.name.split(".")[1] for part in tape.parts] == ["1", "3", "2"]


def test_a_part_without_a_header_goes_with_the_one_before(tmp_path: Path) -> None:
    record(tmp_path, following(0, 5))
    (tmp_path / DAY / f"{KEY}.2.jsonl.zst").write_bytes(b"")
    (tmp_path / DAY / f"{KEY}.3.jsonl.zst").write_bytes(encode_block([b"no header"], 1))
    record(tmp_path, following(10, 15))
    [tape] = find_tapes([tmp_path])
    assert [part.name.split(".")[1] for part in tape.parts] == ["1", "2", "3", "4"]


def test_the_header_is_the_first_line_or_nothing(tmp_path: Path) -> None:
    record(tmp_path, following())
    part = tmp_path / DAY / f"{KEY}.1.jsonl.zst"
    header = header_of(part)
    assert header is not None
    assert header.key == KEY
    end = line_bytes(End(at_ns=1))
    for content in (b"", b"garbage", encode_block([end], 1), encode_block([end], 1, first=3), part.read_bytes()[1:]):
        (tmp_path / "x").write_bytes(content)
        assert header_of(tmp_path / "x") is None
    assert header_of(tmp_path / "none") is None


def label(status: LabelStatus, outcome: Outcome | None, *, condition: str = CONDITION, slug: str | None = KEY) -> Label:
    return Label(
        condition_id=condition, slug=slug, status=status, outcome=outcome, resolved_by=LabelSource.CLOB, at_ns=at(400)
    )


def test_labels_beside_the_tapes_are_joined(tmp_path: Path) -> None:
    for key in (KEY, OTHER, CONDITION):
        record(tmp_path, following(), key=key)
    assert [tape.label for tape in find_tapes([tmp_path])] == [None] * 3
    append_label(tmp_path, label(LabelStatus.UNRESOLVED, None))
    append_label(tmp_path, label(LabelStatus.RESOLVED, Outcome.DOWN))
    append_label(tmp_path, label(LabelStatus.VOID, None, condition="0x" + "cd" * 32, slug=OTHER))
    for where in (tmp_path, tmp_path / DAY):
        found = {tape.key: tape for tape in find_tapes([where])}
        assert [(found[key].outcome, found[key].label) for key in (KEY, CONDITION)] == [
            (Outcome.DOWN, label(LabelStatus.RESOLVED, Outcome.DOWN))
        ] * 2
        assert found[OTHER].outcome is None
        void = found[OTHER].label
        assert void is not None
        assert void.status is LabelStatus.VOID


def test_a_label_is_believed_before_a_header(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path)
    writer.describe(KEY, source="capture", outcome=Outcome.UP)
    writer.describe(OTHER, source="capture", outcome=None)
    writer.write([*batch(following()), *batch(following(), OTHER)])
    writer.close()
    assert [tape.outcome for tape in find_tapes([tmp_path])] == [Outcome.UP, None]
    append_label(tmp_path, label(LabelStatus.VOID, None))
    assert [tape.outcome for tape in find_tapes([tmp_path])] == [None, None]


def test_recordings_of_the_older_kind_are_found_too(tmp_path: Path) -> None:
    path = write_capture(tmp_path / "captures", won="0")
    record(tmp_path / "tapes", following())
    tapes = find_tapes([tmp_path / "tapes", tmp_path / "captures"])
    assert [tape.key for tape in tapes] == [KEY, CAPTURED]
    assert tapes[1].paths == (path,)
    assert (tapes[1].parts, tapes[1].outcome) == ((), Outcome.DOWN)
    assert evolve(tapes[0]).paths == tapes[0].parts
    assert find_tapes([path])[0].key == CAPTURED
    (tmp_path / "captures" / "manifest.csv").write_text("nonsense\n1\n")
    with pytest.raises(CaptureError, match="manifest"):
        find_tapes([path])


def test_a_recording_without_a_manifest_has_no_outcome(tmp_path: Path) -> None:
    [tape] = find_tapes([write_capture(tmp_path)])
    assert tape.outcome is None


def test_a_market_that_is_there_in_both_kinds_is_refused(tmp_path: Path) -> None:
    write_capture(tmp_path / "captures", KEY)
    record(tmp_path / "tapes", following())
    with pytest.raises(TapeError, match=f"as tapes and as recordings: {KEY}"):
        find_tapes([tmp_path / "captures", tmp_path / "tapes"])


def test_where_nothing_is_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / DAY).touch()
    (tmp_path / "other.txt").touch()
    for path, complaint in [
        ("none", "no such file or folder"),
        ("empty", "no tapes"),
        (".", "no tapes"),
        ("other.txt", "not part of a tape"),
    ]:
        with pytest.raises(TapeError, match=complaint):
            find_tapes([tmp_path / path])
    assert find_tapes([]) == []
