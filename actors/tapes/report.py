"""What is on a tape, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen

from actors.captures import CaptureError, read_capture
from actors.tapes.blocks import Damage
from actors.tapes.finding import Tape
from actors.tapes.mending import Mending
from actors.tapes.reader import Lines, PartBegins, Piece, mended, read_pieces
from engine.labels import Label
from engine.markets import Outcome
from engine.records import Disconnected, Followed, Record
from engine.tape import Lost
from engine.units import NS_PER_S


@frozen(kw_only=True)
class DamageAt:
    """Damage, and the file it is in."""

    path: Path
    damage: Damage

    def __str__(self) -> str:
        damage = self.damage
        lost = "an unknown number of lines is lost" if damage.lines is None else f"{damage.lines} lines are lost"
        detail = f" ({damage.detail})" if damage.detail else ""
        return f"{self.path}: {damage.reason}{detail}, {damage.length} bytes at offset {damage.offset}: {lost}"


@frozen(kw_only=True)
class TapeReport:
    """One tape, gone through.

    ``records`` counts what a replay sees by kind. ``torn`` are the parts without their last line: cut, or written
    still. ``lost`` is what the recorder itself says it lost. ``gaps`` counts disconnects, ``followings`` how often the
    market was followed. ``misplaced``, ``overlapping``, ``unreadable`` and ``foreign`` are explained at ``Mending``;
    ``failure`` is why a recording of the older kind could not be read to its end.
    """

    key: str
    parts: tuple[Path, ...]
    size_bytes: int
    blocks: int
    records: Mapping[str, int]
    first_ns: int | None
    last_ns: int | None
    followings: int
    gaps: int
    label: Label | None = None
    outcome: Outcome | None = None
    damages: tuple[DamageAt, ...] = ()
    torn: tuple[Path, ...] = ()
    lost: tuple[Lost, ...] = ()
    absent: int = 0
    misplaced: int = 0
    overlapping: int = 0
    unreadable: int = 0
    foreign: int = 0
    failure: str | None = None

    @property
    def intact(self) -> bool:
        """Whether everything that was to be recorded is there."""
        return not any(self.problems())

    @property
    def lines_missing(self) -> int:
        """How many lines are known to be missing; damage of unknown extent is not in it."""
        damaged = sum(at.damage.lines or 0 for at in self.damages)
        return damaged + self.absent + sum(lost.records for lost in self.lost)

    def problems(self) -> Iterator[str]:
        """What is wrong, a sentence each."""
        yield from map(str, self.damages)
        for path in self.torn:
            yield f"{path}: has no last line: it was cut off, or is being written"
        for lost in self.lost:
            yield f"{lost.records} records up to {_time(lost.until_ns)} never reached the tape: {lost.reason}"
        counts = (
            (self.absent, "lines are in parts that are not here, or at the damaged end of one"),
            (self.unreadable, "lines are intact but not understood; a newer version may have written them"),
            (self.misplaced, "records are out of place and left out"),
            (self.overlapping, "records are of a following that overlaps another one, and left out"),
            (self.foreign, "parts are of another market or another version of the format, and left out"),
        )
        yield from (f"{self.key}: {count} {what}" for count, what in counts if count)
        if self.failure is not None:
            yield self.failure

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON types."""
        return {
            "key": self.key,
            "parts": [str(part) for part in self.parts],
            "size_bytes": self.size_bytes,
            "blocks": self.blocks,
            "records": dict(self.records),
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "followings": self.followings,
            "gaps": self.gaps,
            "outcome": self.outcome,
            "label": None if self.label is None else self.label.status,
            "lines_missing": self.lines_missing,
            "intact": self.intact,
            "problems": list(self.problems()),
        }


@define
class _Watched:
    """Pieces on their way to be mended, looked at."""

    path: Path | None = None
    blocks: int = 0
    damages: list[DamageAt] = Factory(list)
    torn: list[Path] = Factory(list)
    lost: list[Lost] = Factory(list)

    def watch(self, tape: Tape, mending: Mending) -> Iterator[Piece]:
        for piece in read_pieces(tape.parts):
            if isinstance(piece, PartBegins):
                self._part_is_over(mending)
                self.path = piece.path
            elif isinstance(piece, Lines):
                self.blocks += 1
            elif self.path is not None:
                self.damages.append(DamageAt(path=self.path, damage=piece))
            yield Lines(piece.block, self._items(piece)) if isinstance(piece, Lines) else piece
        self._part_is_over(mending)

    def _part_is_over(self, mending: Mending) -> None:
        if self.path is not None and mending.torn:
            self.torn.append(self.path)

    def _items(self, piece: Lines) -> Iterator[Any]:
        for item in piece.items:
            if isinstance(item, Lost):
                self.lost.append(item)
            yield item


@define
class _Counts:
    kinds: Counter[str] = Factory(Counter)
    first_ns: int | None = None
    last_ns: int | None = None

    def add(self, record: Record) -> None:
        self.kinds[str(record.__struct_config__.tag)] += 1
        self.first_ns = record.at_ns if self.first_ns is None else self.first_ns
        self.last_ns = record.at_ns

    def of(self, kind: type[Record]) -> int:
        return self.kinds[str(kind.__struct_config__.tag)]


def examine(tape: Tape) -> TapeReport:
    """Go through a whole tape and say what is there and what is not; never raises because of what the files hold."""
    watched, counts, mending = _Watched(), _Counts(), Mending(tape.key)
    failure = None
    if tape.capture is None:
        for record in mended(watched.watch(tape, mending), mending):
            counts.add(record)
    else:
        try:
            for _, record in read_capture(tape.capture):
                counts.add(record)
        except CaptureError as error:
            failure = str(error)
    return TapeReport(
        key=tape.key,
        parts=tape.paths,
        size_bytes=sum(_size(path) for path in tape.paths),
        blocks=watched.blocks,
        records=dict(counts.kinds),
        first_ns=counts.first_ns,
        last_ns=counts.last_ns,
        followings=counts.of(Followed),
        gaps=counts.of(Disconnected),
        label=tape.label,
        outcome=tape.outcome,
        damages=tuple(watched.damages),
        torn=tuple(watched.torn),
        lost=tuple(watched.lost),
        absent=mending.absent,
        misplaced=mending.misplaced,
        overlapping=mending.overlapping,
        unreadable=mending.unreadable,
        foreign=mending.foreign,
        failure=failure,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).isoformat()
