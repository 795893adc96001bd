"""Parquet: every record a row, read back by the library that readers use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from actors.tapes import export
from actors.tapes.export import COLUMNS, MissingExtra, export_parquet
from actors.tapes.finding import find_tapes
from actors.tapes.reader import merged
from actors.tapes.writer import TapeWriter
from engine.errors import UpdownError
from engine.markets import Outcome
from engine.records import Connected, Disconnected, LookupFailed, Unfollowed
from tests.actors.tapes.tape_texts import CONDITION, KEY, MARKET, OTHER, at, batch, following, frame, record
from tests.engine.wire_texts import MARKET as WIRE_MARKET
from tests.engine.wire_texts import book, trade

parquet = pytest.importorskip("pyarrow.parquet")


def rows_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def test_every_record_is_a_row_in_the_order_of_time(tmp_path: Path) -> None:
    record(tmp_path / "tapes", following(0, 10))
    record(tmp_path / "tapes", following(5, 15), key=OTHER)
    tapes = find_tapes([tmp_path / "tapes"])
    pairs = list(merged(tapes))
    assert export_parquet(tapes, tmp_path / "x.parquet") == len(pairs)
    rows = rows_of(tmp_path / "x.parquet")
    assert tuple(rows[0]) == COLUMNS
    assert [(row["key"], row["at_ns"]) for row in rows] == [(key, item.at_ns) for key, item in pairs]
    assert rows[0]["at"].isoformat() == "2026-09-21T14:30:00+00:00"
    assert not list(tmp_path.glob("*.unfinished"))


def test_what_is_known_of_a_record_is_in_its_row(tmp_path: Path) -> None:
    condition = WIRE_MARKET.condition_id
    writer = TapeWriter(tmp_path)
    writer.describe(KEY, source="test", outcome=Outcome.DOWN)
    items = [
        *following()[:2],
        LookupFailed(at_ns=at(0), reason="timeout"),
        frame(0, "PONG"),
        Connected(at_ns=at(1), epoch=3),
        frame(1, book()),
        frame(2, f"[{trade('0.5', '10')},{book()}]"),
        frame(3, "[]"),
        frame(3, '{"event_type":1}'),
        frame(3, '{"timestamp":"soon","asset_id":"7"}'),
        frame(3, '{"timestamp":1789}'),
        Disconnected(at_ns=at(4), epoch=3, reason="stale", dropped=2),
        Unfollowed(at_ns=at(5)),
    ]
    writer.write(batch(items))
    writer.close()
    export_parquet(find_tapes([tmp_path]), tmp_path / "x.parquet")
    rows = rows_of(tmp_path / "x.parquet")
    kinds = ["followed", "market", "lookup_failed", "frame", "connected", *["frame"] * 6, "disconnected", "unfollowed"]
    assert [row["kind"] for row in rows] == kinds
    assert {row["outcome"] for row in rows} == {"Down"}
    assert [row["epoch"] for row in rows] == [None] * 4 + [3] * 8 + [None]
    assert rows[0]["details"].startswith('{"condition_id":null')
    assert CONDITION in rows[1]["details"]
    assert (rows[0]["condition_id"], rows[1]["condition_id"]) == (None, MARKET.condition_id)
    assert (rows[2]["reason"], rows[11]["reason"], rows[11]["dropped"]) == ("timeout", "stale", 2)
    plain, first, several, none, strange, odd, stamped = (row for row in rows if row["kind"] == "frame")
    assert (plain["text"], plain["event_type"], plain["events"], plain["condition_id"]) == (
        "PONG",
        None,
        None,
        CONDITION,
    )
    assert (first["event_type"], first["events"], first["condition_id"]) == ("book", 1, condition)
    assert isinstance(first["venue_ms"], int)
    assert first["asset_id"] == WIRE_MARKET.up_asset_id
    assert (several["event_type"], several["events"]) == ("last_trade_price", 2)
    assert (none["event_type"], none["events"]) == (None, 0)
    assert (strange["event_type"], strange["events"]) == (None, None)
    assert (odd["venue_ms"], odd["asset_id"]) == (None, "7")
    assert stamped["venue_ms"] == 1789


def test_groups_are_bounded_in_rows_and_in_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "tapes", following(0, 96))
    tapes = find_tapes([tmp_path / "tapes"])
    monkeypatch.setattr(export, "GROUP_ROWS", 30)
    export_parquet(tapes, tmp_path / "x.parquet")
    groups = parquet.ParquetFile(tmp_path / "x.parquet").metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [30, 30, 30, 10]
    monkeypatch.setattr(export, "GROUP_CHARACTERS", 20)
    export_parquet(tapes, tmp_path / "x.parquet")
    assert parquet.ParquetFile(tmp_path / "x.parquet").metadata.num_row_groups > 4
    assert len(rows_of(tmp_path / "x.parquet")) == 100


def test_nothing_is_an_empty_table(tmp_path: Path) -> None:
    assert export_parquet([], tmp_path / "x.parquet") == 0
    table = parquet.read_table(tmp_path / "x.parquet")
    assert (table.num_rows, tuple(table.column_names)) == (0, COLUMNS)


def test_a_file_that_was_there_stays_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "tapes", following())
    tapes = find_tapes([tmp_path / "tapes"])
    (tmp_path / "x.parquet").write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(export._Rows, "add", fail)
        with pytest.raises(OSError, match="No space left"):
            export_parquet(tapes, tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").read_text() == "old"
    assert not list(tmp_path.glob("*.unfinished"))
    assert export_parquet(tapes, tmp_path / "x.parquet") == len(rows_of(tmp_path / "x.parquet")) == 14


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'updown\[export\]'") as caught:
        export_parquet([], tmp_path / "x.parquet")
    assert isinstance(caught.value, UpdownError | ImportError)
    assert list(tmp_path.iterdir()) == []
