"""Recordings: read whole, in order, or refused with file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from actors.captures import CaptureError, find_captures, read_capture
from engine.records import Connected, Followed, Frame, MarketUpdated, Unfollowed
from tests.engine.wire_texts import CONDITION_ID, END_NS, SLUG, START_NS, START_S, UP, book

HEADER = "slug,condition_id,messages,recorded_asset_won\n"


def write(folder: Path, lines: list[str], *, slug: str = SLUG, manifest: str | None = None) -> Path:
    path = folder / f"{slug}.jsonl.gz"
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    if manifest is not None:
        (folder / "manifest.csv").write_text(manifest)
    return path


def line(seconds: float, text: str | None = None) -> str:
    return json.dumps({"recv_ts": START_S + seconds, "raw": text or book()})


def test_a_recording_becomes_the_records_of_a_followed_market(tmp_path: Path) -> None:
    write(tmp_path, [line(0.25), line(1.5)], manifest=f"{HEADER}{SLUG},{CONDITION_ID},2,1\n")
    [capture] = find_captures(tmp_path)
    assert (capture.slug, capture.messages, capture.up_won) == (SLUG, 2, True)
    pairs = list(read_capture(capture))
    assert {key for key, _ in pairs} == {SLUG}
    records = [record for _, record in pairs]
    assert [type(record) for record in records] == [Followed, MarketUpdated, Connected, Frame, Frame, Unfollowed]
    assert [record.at_ns - START_NS for record in records] == [250_000_000] * 4 + [1_500_000_000, 1_500_000_001]
    followed, updated = records[:2]
    assert isinstance(followed, Followed)
    assert (followed.target.series, followed.target.start_ns, followed.target.end_ns) == ("btc-5m", START_NS, END_NS)
    assert isinstance(updated, MarketUpdated)
    assert updated.market is not None
    assert updated.market.condition_id == CONDITION_ID
    assert updated.market.up_asset_id == UP
    assert updated.market.down_asset_id is None


def test_receive_times_are_exact_to_the_nanosecond(tmp_path: Path) -> None:
    path = write(tmp_path, [f'{{"recv_ts": {START_S}.123456789, "raw": {json.dumps(book())}}}'])
    records = [record for _, record in read_capture(find_captures(path)[0])]
    assert records[0].at_ns == START_NS + 123_456_789


def test_time_never_runs_backwards(tmp_path: Path) -> None:
    path = write(tmp_path, [line(2), line(1), line(3)])
    frames = [record.at_ns for _, record in read_capture(find_captures(path)[0]) if isinstance(record, Frame)]
    assert [(at_ns - START_NS) // 10**9 for at_ns in frames] == [2, 2, 3]


def test_without_a_manifest_nothing_is_claimed(tmp_path: Path) -> None:
    write(tmp_path, [line(0)])
    [capture] = find_captures(tmp_path)
    assert (capture.messages, capture.up_won) == (None, None)


def test_an_empty_recording_has_no_records(tmp_path: Path) -> None:
    assert list(read_capture(find_captures(write(tmp_path, []))[0])) == []


def test_a_folder_is_read_by_slug(tmp_path: Path) -> None:
    later = f"btc-updown-5m-{START_S + 300}"
    write(tmp_path, [line(0)], slug=later)
    write(tmp_path, [line(0)])
    assert [capture.slug for capture in find_captures(tmp_path)] == [SLUG, later]


@pytest.mark.parametrize("name", ["nothing-here", "missing.jsonl.gz"])
def test_no_recordings_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(CaptureError, match=name):
        find_captures(tmp_path / name)
    with pytest.raises(CaptureError, match="no recordings"):
        find_captures(tmp_path)


def test_a_file_of_no_known_series_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [line(0)], slug="who-knows")
    with pytest.raises(CaptureError, match=rf"{path.name}: not named after a market: .*who-knows"):
        list(read_capture(find_captures(path)[0]))


def test_a_path_that_is_no_recording_is_told_so(tmp_path: Path) -> None:
    write(tmp_path, [line(0)], manifest=HEADER)
    with pytest.raises(CaptureError, match=r"manifest\.csv: not a recording, which is named <slug>\.jsonl\.gz"):
        find_captures(tmp_path / "manifest.csv")


@pytest.mark.parametrize("condition_id", [CONDITION_ID, CONDITION_ID.upper().replace("X", "x"), ""])
def test_the_condition_id_of_the_manifest_is_the_one_recorded(tmp_path: Path, condition_id: str) -> None:
    write(tmp_path, [line(0)], manifest=f"{HEADER}{SLUG},{condition_id},1,1\n")
    assert len(list(read_capture(find_captures(tmp_path)[0]))) == 5


def test_a_recording_of_another_market_than_its_name_says_is_refused(tmp_path: Path) -> None:
    other = "0x" + "0" * 64
    write(tmp_path, [line(0)], manifest=f"{HEADER}{SLUG},{other},1,1\n")
    with pytest.raises(CaptureError, match=rf":1: of {CONDITION_ID}, but manifest.csv says {other}"):
        list(read_capture(find_captures(tmp_path)[0]))


@pytest.mark.parametrize("at_s", ['"NaN"', "0", "-1", "1776081600000", "1e999999"])
def test_a_time_that_is_none_is_named(tmp_path: Path, at_s: str) -> None:
    path = write(tmp_path, [line(0), f'{{"recv_ts": {at_s}, "raw": "PONG"}}'])
    with pytest.raises(CaptureError, match=":2: not a recorded message"):
        list(read_capture(find_captures(path)[0]))


def test_a_recording_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / f"{SLUG}.jsonl.gz").mkdir()
    with pytest.raises(CaptureError, match=":1: cannot be read"):
        list(read_capture(find_captures(tmp_path)[0]))


def test_a_manifest_that_is_none_is_named(tmp_path: Path) -> None:
    write(tmp_path, [line(0)])
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(CaptureError, match=r"manifest\.csv: not a manifest"):
        find_captures(tmp_path)


def test_a_bad_line_is_named_after_everything_before_it_was_read(tmp_path: Path) -> None:
    path = write(tmp_path, [line(0), line(1), '{"recv_ts": "soon"}'])
    records = read_capture(find_captures(path)[0])
    taken = []
    with pytest.raises(CaptureError, match=rf"{path.name}:3: not a recorded message"):
        taken.extend(records)
    assert sum(isinstance(record, Frame) for _, record in taken) == 2


def test_a_first_message_without_market_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, [line(0, "PONG")])
    with pytest.raises(CaptureError, match=":1: the first message names no market"):
        list(read_capture(find_captures(path)[0]))


def test_a_torn_file_is_named_where_it_ends(tmp_path: Path) -> None:
    path = write(tmp_path, [line(n) for n in range(200)])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CaptureError, match="torn"):
        list(read_capture(find_captures(path)[0]))


def test_a_file_that_is_not_compressed_is_torn_at_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / f"{SLUG}.jsonl.gz"
    path.write_text(line(0))
    with pytest.raises(CaptureError, match=":1: the file is torn"):
        list(read_capture(find_captures(path)[0]))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [(f"{SLUG},x,,1", "needs slug"), (f"{SLUG},x,²,1", "not a number"), (f"{SLUG},x,2,", "needs slug")],
)
def test_a_bad_manifest_names_its_line(tmp_path: Path, row: str, complaint: str) -> None:
    write(tmp_path, [line(0)], manifest=f"{HEADER}{row}\n")
    with pytest.raises(CaptureError, match=rf"manifest.csv:2: .*{complaint}"):
        find_captures(tmp_path)


def test_the_recorded_markets_are_complete(captures: Path) -> None:
    found = find_captures(captures)
    assert found
    first = found[0]
    frames = sum(isinstance(record, Frame) for _, record in read_capture(first))
    assert frames == first.messages
