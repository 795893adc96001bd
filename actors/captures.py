"""Recorded markets of one token: folders of ``<slug>.jsonl.gz`` files, read as the records of a followed market.

Each line is ``{"recv_ts": <epoch seconds>, "raw": "<message>"}``; an optional ``manifest.csv`` beside the files says
how many messages each must hold, of which condition id, and which outcome the recorded token had. The recordings do not
say whether their token is Up or Down: it is taken as Up, the other one is unknown and its book the mirror.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
from attrs import frozen

from engine.errors import UnknownSlug, UpdownError
from engine.markets import Market
from engine.records import Connected, Followed, Frame, MarketUpdated, Record, Unfollowed
from engine.series import Slot, slot_of_slug
from engine.units import NS_PER_S

SUFFIX: Final = ".jsonl.gz"
MANIFEST: Final = "manifest.csv"
END_OF_TIME_S: Final = 10**10
"""Later than any recording, and earlier than any time in milliseconds."""


class CaptureError(UpdownError, ValueError):
    """A recording that cannot be read; names the file and, where it can, the line."""


class _Line(msgspec.Struct, gc=False):
    recv_ts: Decimal
    raw: str


class _Subject(msgspec.Struct, gc=False):
    market: str
    asset_id: str


@frozen(kw_only=True)
class Capture:
    """One recorded market, or what is named like one: that shows when it is read.

    ``messages``, ``up_won`` and ``condition_id`` are the manifest's word, ``None`` without one.
    """

    path: Path
    slug: str
    messages: int | None = None
    up_won: bool | None = None
    condition_id: str | None = None


def find_captures(path: Path) -> list[Capture]:
    """The recordings of a folder by slug, or the one recording that ``path`` is.

    Raises ``CaptureError`` when there is none, or when the manifest cannot be read.
    """
    if not path.exists():
        raise CaptureError(f"{path}: no such file or folder")
    if not path.is_dir() and not path.name.endswith(SUFFIX):
        raise CaptureError(f"{path}: not a recording, which is named <slug>{SUFFIX}, nor a folder of them")
    folder = path if path.is_dir() else path.parent
    files = sorted(folder.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if not files:
        raise CaptureError(f"{path}: no recordings (*{SUFFIX}) here")
    rows = _manifest(folder / MANIFEST)
    return [_capture(file, rows) for file in files]


def read_capture(capture: Capture) -> Iterator[tuple[str, Record]]:
    """The records of one market: followed at the first message, connected, every message, let go at the last.

    A line that claims to be older than the one before it is given that one's time, for records never run backwards.
    Raises ``CaptureError`` for a file that is torn, no recording, or one of another market than the manifest says,
    naming the line; what came before it was yielded.
    """
    key = capture.slug
    at_ns = 0
    for number, line in _lines(capture.path):
        at_ns = max(at_ns, _at_ns(capture, number, line))
        if number == 1:
            yield from ((key, record) for record in _beginning(capture, line, at_ns))
        yield key, Frame(at_ns=at_ns, text=line.raw)
    if at_ns:
        yield key, Unfollowed(at_ns=at_ns + 1)


def _beginning(capture: Capture, line: _Line, at_ns: int) -> Iterator[Record]:
    slot = _slot(capture)
    market = _market(capture, slot, line)
    if capture.condition_id is not None and market.condition_id.lower() != capture.condition_id.lower():
        raise CaptureError(f"{capture.path}:1: of {market.condition_id}, but {MANIFEST} says {capture.condition_id}")
    yield Followed(at_ns=at_ns, target=slot.target())
    yield MarketUpdated(at_ns=at_ns, market=market)
    yield Connected(at_ns=at_ns, epoch=1)


def _slot(capture: Capture) -> Slot:
    try:
        return slot_of_slug(capture.slug)
    except UnknownSlug as error:
        raise CaptureError(f"{capture.path}: not named after a market: {error}") from error


def _at_ns(capture: Capture, number: int, line: _Line) -> int:
    if not (line.recv_ts.is_finite() and 0 < line.recv_ts < END_OF_TIME_S):
        raise CaptureError(f"{capture.path}:{number}: not a recorded message: recv_ts is no time in seconds")
    return int(line.recv_ts * NS_PER_S)


def _market(capture: Capture, slot: Slot, line: _Line) -> Market:
    try:
        subject = msgspec.json.decode(line.raw, type=_Subject)
        return Market(
            condition_id=subject.market,
            up_asset_id=subject.asset_id,
            slug=capture.slug,
            start_ns=slot.start_ns,
            end_ns=slot.end_ns,
        )
    except ValueError as error:
        raise CaptureError(f"{capture.path}:1: the first message names no market and token: {error}") from error


def _lines(path: Path) -> Iterator[tuple[int, _Line]]:
    decoder = msgspec.json.Decoder(_Line)
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            for number, text in enumerate(file, 1):
                yield number, decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CaptureError(f"{path}:{number}: not a recorded message: {error}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CaptureError(f"{path}:{number + 1}: the file is torn here: {error}") from error
    except OSError as error:
        raise CaptureError(f"{path}:{number + 1}: cannot be read: {error.strerror}") from error


def _capture(file: Path, rows: Mapping[str, Mapping[str, str]]) -> Capture:
    slug = file.name.removesuffix(SUFFIX)
    row = rows.get(slug)
    if row is None:
        return Capture(path=file, slug=slug)
    return Capture(
        path=file,
        slug=slug,
        messages=int(row["messages"]),
        up_won=row["recorded_asset_won"] == "1",
        condition_id=row.get("condition_id") or None,
    )


def _manifest(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [_checked(row, f"{path}:{line}") for line, row in enumerate(csv.DictReader(file), 2)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise CaptureError(f"{path}: not a manifest: {error}") from error
    return {row["slug"]: row for row in rows}


def _checked(row: dict[str, str], place: str) -> dict[str, str]:
    if not all(row.get(name) for name in ("slug", "messages", "recorded_asset_won")):
        raise CaptureError(f"{place}: needs slug, messages and recorded_asset_won")
    if not row["messages"].isdecimal():
        raise CaptureError(f"{place}: messages is not a number: {row['messages']!r}")
    return row
