"""Tapes as Parquet, for pandas, polars and DuckDB: one row per record. Needs the extra ``updown[export]``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec
from attrs import define, field
from msgspec import Struct

from actors.tapes.finding import Tape
from actors.tapes.reader import merged
from engine.errors import UpdownError
from engine.records import Connected, Disconnected, Followed, Frame, LookupFailed, MarketUpdated, Record

GROUP_ROWS: Final = 65_536
GROUP_CHARACTERS: Final = 32 << 20
"""A row group is full when it has so many rows, or so much text."""

EXTRA: Final = "export"

_MAX_MS: Final = 2**63 - 1


class MissingExtra(UpdownError, ImportError):
    """The library of an optional extra is not installed."""


class _Said(Struct, gc=False):
    """What a message says of itself; of the rest nothing is read."""

    event_type: str | None = None
    market: str | None = None
    asset_id: str | None = None
    timestamp: str | int | None = None


_ONE: Final = msgspec.json.Decoder(_Said)
_SEVERAL: Final = msgspec.json.Decoder(list[_Said])
_NOT_SAID: Final = _Said()

COLUMNS: Final = (
    *("at_ns", "at", "key", "kind", "outcome", "epoch", "reason", "dropped"),
    *("condition_id", "event_type", "events", "asset_id", "venue_ms", "text", "details"),
)


@define
class _Rows:
    """Records on their way to a row group, column by column."""

    outcomes: dict[str, str | None]
    columns: dict[str, list[Any]] = field(factory=lambda: {name: [] for name in COLUMNS})
    characters: int = 0
    epochs: dict[str, int | None] = field(factory=dict)
    conditions: dict[str, str | None] = field(factory=dict)

    def add(self, key: str, record: Record) -> None:
        self._learn(key, record)
        frame = record.text if isinstance(record, Frame) else None
        said, events = _said(frame)
        row = {
            "at_ns": record.at_ns,
            "at": record.at_ns,
            "key": key,
            "kind": record.__struct_config__.tag,
            "outcome": self.outcomes.get(key),
            "epoch": record.epoch if isinstance(record, Connected | Disconnected) else self.epochs.get(key),
            "reason": record.reason if isinstance(record, Disconnected | LookupFailed) else None,
            "dropped": record.dropped if isinstance(record, Disconnected) else None,
            "condition_id": said.market or self.conditions.get(key),
            "event_type": said.event_type,
            "events": events,
            "asset_id": said.asset_id,
            "venue_ms": _milliseconds(said.timestamp),
            "text": frame,
            "details": _details(record),
        }
        for name, column in self.columns.items():
            column.append(row[name])
        self.characters += len(frame or "")

    def _learn(self, key: str, record: Record) -> None:
        if isinstance(record, Followed):
            self.epochs[key], self.conditions[key] = None, record.target.condition_id
        elif isinstance(record, MarketUpdated) and record.market is not None:
            self.conditions[key] = record.market.condition_id
        elif isinstance(record, Connected | Disconnected):
            self.epochs[key] = record.epoch if isinstance(record, Connected) else None


def export_parquet(tapes: Iterable[Tape], path: Path) -> int:
    """Write the records of tapes, in the order of their time, into one Parquet file; returns the number of rows.

    Columns: ``at_ns`` (epoch ns) and the same as a timestamp ``at``, ``key``, ``kind``, ``outcome`` (Up, Down or null),
    ``epoch`` (of the open socket), ``reason`` and ``dropped`` (of faults), ``condition_id``; of messages ``text``,
    their number of ``events`` and what the first of them says: ``event_type``, ``asset_id``, ``venue_ms``; ``details``
    is JSON of what was followed, and of the metadata. The file is there when it is whole; one that was there before is
    replaced. Raises ``MissingExtra`` without pyarrow, and ``OSError``.
    """
    arrow, parquet = _pyarrow()
    tapes = list(tapes)
    schema = _schema(arrow)
    outcomes = {tape.key: None if tape.outcome is None else tape.outcome.value for tape in tapes}
    unfinished = path.with_name(f"{path.name}.unfinished")
    written = 0
    try:
        with parquet.ParquetWriter(unfinished, schema, compression="zstd") as file:
            for columns in _groups(tapes, outcomes):
                table = arrow.table(columns, schema=schema)
                file.write_table(table, row_group_size=max(table.num_rows, 1))
                written += table.num_rows
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return written


def _groups(tapes: Iterable[Tape], outcomes: dict[str, str | None]) -> Iterator[dict[str, list[Any]]]:
    rows = _Rows(outcomes)
    for key, record in merged(tapes):
        rows.add(key, record)
        if len(rows.columns["at_ns"]) >= GROUP_ROWS or rows.characters >= GROUP_CHARACTERS:
            yield rows.columns
            rows.columns, rows.characters = {name: [] for name in COLUMNS}, 0
    if rows.columns["at_ns"]:
        yield rows.columns


def _schema(arrow: Any) -> Any:
    word = arrow.dictionary(arrow.int32(), arrow.string())
    types = {
        "at_ns": arrow.int64(),
        "at": arrow.timestamp("ns", tz="UTC"),
        "epoch": arrow.int64(),
        "dropped": arrow.int64(),
        "events": arrow.int32(),
        "venue_ms": arrow.int64(),
        "text": arrow.string(),
        "details": arrow.string(),
    }
    return arrow.schema([(name, types.get(name, word)) for name in COLUMNS])


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra(f"pyarrow is not installed; Parquet needs: pip install 'updown[{EXTRA}]'") from error


def _said(text: str | None) -> tuple[_Said, int | None]:
    """What the first event of a message says, and how many there are; plain text says nothing."""
    if text is None:
        return _NOT_SAID, None
    try:
        if text.startswith("["):
            events = _SEVERAL.decode(text)
            return (events[0] if events else _NOT_SAID), len(events)
        return _ONE.decode(text), 1
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return _NOT_SAID, None


def _milliseconds(stamp: str | int | None) -> int | None:
    if isinstance(stamp, str):
        stamp = int(stamp) if stamp.isascii() and stamp.isdigit() and len(stamp) < 19 else None
    return stamp if stamp is not None and 0 <= stamp <= _MAX_MS else None


def _details(record: Record) -> str | None:
    if isinstance(record, Followed):
        return msgspec.json.encode(record.target).decode()
    return msgspec.json.encode(record.market).decode() if isinstance(record, MarketUpdated) else None
