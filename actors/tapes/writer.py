"""The writer of tapes: lines in, blocks in parts of one market and UTC day out. Synchronous, for a worker thread.

Nothing is kept back: what one ``write`` takes is in the files when it returns, or was told to be lost.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from attrs import asdict, define, frozen
from msgspec import UNSET

from actors.tapes.blocks import MAX_TEXT_BYTES
from actors.tapes.layout import DAY_NS, is_key
from actors.tapes.part import Part
from engine.errors import TapeError
from engine.markets import Market, Target
from engine.records import Connected, Disconnected, Followed, MarketUpdated, Unfollowed
from engine.settings import ScoringSettings
from engine.tape import MAX_TIME_NS, VERSION, End, TapeHeader, line_bytes, record_of
from engine.units import NS_PER_S

BLOCK_BYTES: Final = 256 << 10
"""More text than this waiting for one market becomes several blocks."""

RESTATE_NS: Final = 60 * NS_PER_S
"""The header is written again when it is so old, in case the first block is damaged: all else hangs on the metadata."""

_FRAME: Final = b'{"kind":"frame"'
_MEGABYTE: Final = 1_000_000

Entry = tuple[bytes, int]
"""A line without newline, and its ``at_ns``."""


class Rotating(Protocol):
    """The settings a writer needs."""

    @property
    def rotate_mb(self) -> float:
        """A part of at least so many megabytes is followed by another one."""


@frozen(kw_only=True)
class WriterSettings:
    """Settings for who has no others."""

    rotate_mb: float = 64.0


class TapeWriteError(OSError):
    """Not everything could be written; ``lost`` says how many lines of which key. ``errno`` is the first fault's."""

    def __init__(self, fault: OSError, lost: Mapping[str, int]) -> None:
        super().__init__(fault.errno, fault.strerror or type(fault).__name__, fault.filename)
        self.lost = dict(lost)


@define(eq=False)
class _Run:
    """One recorder's time with one market: its open part, and how the market stands, for the next part's header."""

    started_ns: int
    part: Part | None = None
    day: int = -1
    lines: int = 0
    last_ns: int = 0
    stated_ns: int = 0
    target: Target | None = None
    market: Market | None = None
    epoch: int | None = None

    def learn(self, line: bytes) -> None:
        """Note what the next header would have to say."""
        if line.startswith(_FRAME):
            return
        with suppress(TapeError):
            item = record_of(line)
            if isinstance(item, Followed | Unfollowed):
                self.target = item.target if isinstance(item, Followed) else None
                self.market = self.epoch = None
            elif isinstance(item, MarketUpdated):
                self.market = item.market or self.market
            elif isinstance(item, Connected | Disconnected):
                self.epoch = item.epoch if isinstance(item, Connected) else None


class TapeWriter:
    """Writes the tapes of any number of markets into a folder; one thread at a time.

    ``scoring`` goes into the headers: what the market was scored by when it was recorded.
    """

    def __init__(
        self, folder: Path, settings: Rotating | None = None, *, scoring: ScoringSettings | None = None
    ) -> None:
        self._folder = folder
        self._rotate_bytes = round((settings or WriterSettings()).rotate_mb * _MEGABYTE)
        self._scoring: dict[str, Any] = {} if scoring is None else json.loads(json.dumps(asdict(scoring), default=dict))
        self._software = _software()
        self._runs: dict[str, _Run] = {}
        self._said: dict[str, dict[str, Any]] = {}
        self._faults: list[OSError] = []
        self._lost: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def open_parts(self) -> frozenset[Path]:
        """The files that are being written."""
        return frozenset(run.part.path for run in self._runs.values() if run.part is not None)

    def describe(self, key: str, **fields: Any) -> None:
        """Have the headers of this key's further parts say so: ``source``, ``outcome``, ``tokens``, ``scoring``."""
        self._said[key] = fields

    def write(self, batch: Sequence[tuple[str, bytes, int]]) -> None:
        """Append ``(key, line, at_ns)`` entries, each key's in its order; one block per key as a rule.

        A line is compact JSON without newline, ``at_ns`` its time. Raises ``TapeWriteError`` when not all of it could
        be written: every file holds whole blocks only, what came before is written, and the next call may go better.
        """
        entries: dict[str, list[Entry]] = {}
        for key, line, at_ns in batch:
            entries.setdefault(key, []).append((line, at_ns))
        for key, of_key in entries.items():
            self._append(key, of_key)
        self._report()

    def close(self, key: str | None = None) -> None:
        """End the part of this key, or of all, on the disk as well; a key that comes again begins a new run.

        Raises ``TapeWriteError`` if the disk says no; closed they are nevertheless.
        """
        for name in list(self._runs) if key is None else [key]:
            run = self._runs.pop(name, None)
            if run is not None:
                self._end(run)
        self._report()

    def _append(self, key: str, entries: Sequence[Entry]) -> None:
        good = [entry for entry in entries if _is_line(*entry)] if is_key(key) else []
        if len(good) < len(entries):
            self._lose(key, len(entries) - len(good), OSError(errno.EINVAL, os.strerror(errno.EINVAL)))
        if not good:
            return
        run = self._runs.setdefault(key, _Run(good[0][1]))
        written = 0
        try:
            for chunk in _chunks(good):
                self._write(key, run, chunk)
                written += len(chunk)
        except OSError as fault:
            # Later lines must not come to stand where earlier ones are missing and nobody has said so yet.
            self._lose(key, len(good) - written, fault)
            for line, _ in good[written:]:
                run.learn(line)

    def _write(self, key: str, run: _Run, chunk: Sequence[Entry]) -> None:
        first_ns, last_ns = chunk[0][1], chunk[-1][1]
        if run.part is not None and (run.day != first_ns // DAY_NS or run.part.size >= self._rotate_bytes):
            self._end(run)
        part, fresh = run.part, run.part is None
        if part is None:
            part = Part.create(self._folder, key, first_ns)
            run.day = first_ns // DAY_NS
        lines = [line for line, _ in chunk]
        if fresh or first_ns - run.stated_ns >= RESTATE_NS:
            lines.insert(0, line_bytes(self._header(key, run, part, first_ns)))
            run.stated_ns = first_ns
        try:
            part.append(lines, last_ns)
        except OSError:
            run.part = None if part.broken or fresh else part
            if fresh:
                with suppress(OSError):
                    part.close()
            raise
        run.part, run.last_ns = part, last_ns
        run.lines += len(lines)
        for line, _ in chunk:
            run.learn(line)

    def _header(self, key: str, run: _Run, part: Part, at_ns: int) -> TapeHeader:
        return TapeHeader(
            at_ns=at_ns,
            version=VERSION,
            key=key,
            part=part.number,
            software=self._software,
            continues=run.target is not None,
            run=run.started_ns,
            sequence=run.lines - part.lines,
            target=UNSET if run.target is None else run.target,
            market=UNSET if run.market is None else run.market,
            epoch=UNSET if run.epoch is None else run.epoch,
            **{"scoring": self._scoring, **self._said.get(key, {})},
        )

    def _end(self, run: _Run) -> None:
        """Close a run's part with its last line; what the disk says is reported, and the part is closed anyway."""
        part, run.part = run.part, None
        if part is None:
            return
        try:
            part.append([line_bytes(End(at_ns=run.last_ns))], run.last_ns)
            run.lines += 1
        except OSError as fault:
            self._faults.append(fault)
        try:
            part.close()
        except OSError as fault:
            self._faults.append(fault)

    def _lose(self, key: str, lines: int, fault: OSError) -> None:
        self._lost[key] = self._lost.get(key, 0) + lines
        self._faults.append(fault)

    def _report(self) -> None:
        faults, self._faults = self._faults, []
        lost, self._lost = self._lost, {}
        if faults:
            raise TapeWriteError(faults[0], lost) from faults[0]


def _is_line(line: bytes, at_ns: int) -> bool:
    return 0 < len(line) < MAX_TEXT_BYTES - BLOCK_BYTES and b"\n" not in line and 0 <= at_ns <= MAX_TIME_NS


def _chunks(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Entries of one day each, of ``BLOCK_BYTES`` or one line more."""
    begin = size = 0
    for position, (line, at_ns) in enumerate(entries):
        if position > begin and (size >= BLOCK_BYTES or at_ns // DAY_NS != entries[begin][1] // DAY_NS):
            yield entries[begin:position]
            begin, size = position, 0
        size += len(line) + 1
    yield entries[begin:]


def _software() -> str:
    try:
        return f"updown {version('updown')}"
    except PackageNotFoundError:
        return "updown"
