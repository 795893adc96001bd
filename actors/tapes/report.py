"""What is on a tape, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from actors.captures import CaptureError, read_capture
from actors.tapes.blocks import Damage
from actors.tapes.finding import Tape
from actors.tapes.mending import Mending
from actors.tapes.reader import Lines, PartBegins, Piece, mended, read_pieces
from engine.errors import TapeError
from engine.labels import Label
from engine.markets import Outcome
from engine.records import Disconnected, Followed, Record
from engine.tape import Lost, TapeItem
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

    ``records`` counts what a replay sees by kind; ``followings`` is how often the market was followed, ``gaps`` how
    often it was disconnected. ``missing`` lines are known to be; damage of unknown extent is not in it. ``torn`` are
    the parts without their last line: cut off, or being written. ``lost`` is what the recorder itself says it lost.
    ``absent``, ``misplaced``, ``overlapping``, ``unreadable`` and ``foreign`` are explained at ``Mending``. ``failure``
    is why a recording of the older kind could not be read to its end.
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
    missing: int = 0
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

    def problems(self) -> Iterator[str]:
        """What is wrong, a sentence each."""
        yield from self.losses()
        for path in self.torn:
            yield f"{path}: has no last line: it was cut off, or is being written"

    def losses(self) -> Iterator[str]:
        """What is known to be missing, or was left out, a sentence each."""
        yield from map(str, self.damages)
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
            "missing": self.missing,
            "intact": self.intact,
            "problems": list(self.problems()),
        }


class Examination:
    """Goes through one tape once: ``records`` are those of `actors.tapes.read_tape`, ``report`` is known after them."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._mending = Mending(tape.key)
        self._path: Path | None = None
        self._blocks = 0
        self._read_bytes = 0
        self._damages: list[DamageAt] = []
        self._torn: list[Path] = []
        self._lost: list[Lost] = []
        self._kinds = Counter[str]()
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._failure: str | None = None

    @property
    def holes(self) -> int:
        """In how many places something is missing, so far."""
        return self._mending.holes

    @property
    def missing(self) -> int:
        """How many lines are known to be missing, so far."""
        return self._mending.missing

    @property
    def read_bytes(self) -> int:
        """How much of the files has been gone through, so far; of a recording of the older kind nothing."""
        return self._read_bytes

    def records(self) -> Iterator[Record]:
        """The records, as a replay sees them."""
        for record in self._read():
            self._kinds[_kind(record)] += 1
            self._first_ns = record.at_ns if self._first_ns is None else self._first_ns
            self._last_ns = record.at_ns
            yield record

    def report(self) -> TapeReport:
        """What was there and what was not."""
        tape, mending = self._tape, self._mending
        return TapeReport(
            key=tape.key,
            parts=tape.paths,
            size_bytes=sum(_size(path) for path in tape.paths),
            blocks=self._blocks,
            records=dict(self._kinds),
            first_ns=self._first_ns,
            last_ns=self._last_ns,
            followings=self._kinds[_kind(Followed)],
            gaps=self._kinds[_kind(Disconnected)],
            missing=self.missing,
            label=tape.label,
            outcome=tape.outcome,
            damages=tuple(self._damages),
            torn=tuple(self._torn),
            lost=tuple(self._lost),
            absent=mending.absent,
            misplaced=mending.misplaced,
            overlapping=mending.overlapping,
            unreadable=mending.unreadable,
            foreign=mending.foreign,
            failure=self._failure,
        )

    def _read(self) -> Iterator[Record]:
        if self._tape.capture is None:
            yield from mended(self._watched(), self._mending)
            return
        try:
            for _, record in read_capture(self._tape.capture):
                yield record
        except CaptureError as error:
            self._failure = str(error)

    def _watched(self) -> Iterator[Piece]:
        for piece in read_pieces(self._tape.parts):
            if isinstance(piece, PartBegins):
                self._part_is_over()
                self._path = piece.path
            elif isinstance(piece, Lines):
                self._blocks += 1
            elif self._path is not None:
                self._damages.append(DamageAt(path=self._path, damage=piece))
            if isinstance(piece, Lines | Damage):
                self._read_bytes += (piece.block if isinstance(piece, Lines) else piece).length
            yield Lines(piece.block, self._noted(piece)) if isinstance(piece, Lines) else piece
        self._part_is_over()

    def _part_is_over(self) -> None:
        if self._path is not None and self._mending.torn:
            self._torn.append(self._path)

    def _noted(self, piece: Lines) -> Iterator[TapeItem | TapeError]:
        for item in piece.items:
            if isinstance(item, Lost):
                self._lost.append(item)
            yield item


def examine(tape: Tape) -> TapeReport:
    """Go through a whole tape and say what is there and what is not; never raises because of what the files hold."""
    examination = Examination(tape)
    for _ in examination.records():
        pass
    return examination.report()


def _kind(of: Record | type[Record]) -> str:
    return str(of.__struct_config__.tag)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).isoformat()
