"""Finding tapes: files, day folders and whole folders of them, and recordings of the older kind beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from actors.captures import SUFFIX as CAPTURE_SUFFIX
from actors.captures import Capture, find_captures
from actors.labelbook import read_labels
from actors.tapes.blocks import Block, read_blocks
from actors.tapes.layout import SUFFIX, is_day, parse_part, root_of
from engine.errors import TapeError
from engine.labels import Label
from engine.markets import Outcome
from engine.tape import TapeHeader, record_of


@frozen(kw_only=True)
class Tape:
    """Everything recorded of one market: ``parts`` in the order they are read, or one ``capture``.

    ``label`` is what the labels beside it say of its end. ``outcome`` is who won, by the label, else by the tape's own
    header or the manifest; ``None`` if nobody says so, or the label says that nobody did.
    """

    key: str
    parts: tuple[Path, ...] = ()
    capture: Capture | None = None
    label: Label | None = None
    outcome: Outcome | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files."""
        return self.parts if self.capture is None else (self.capture.path,)


_WINNERS: Final[Mapping[bool | None, Outcome]] = {True: Outcome.UP, False: Outcome.DOWN}


def find_tapes(paths: Iterable[Path]) -> list[Tape]:
    """The tapes in files and folders, by key: parts of one market are one tape, whatever folders they are from.

    A folder may be one that was recorded into, one day of it, or one of recordings (see ``actors.captures``). Raises
    ``TapeError`` for a path where nothing is, and for a market that is there as a tape and as a recording;
    ``CaptureError`` for a manifest that cannot be read.
    """
    parts: dict[str, list[Path]] = {}
    captures: dict[str, Capture] = {}
    for path in paths:
        for found in _found(path):
            if isinstance(found, Capture):
                captures[found.slug] = found
            else:
                parts.setdefault(_key_of(found), []).append(found)
    if both := sorted(parts.keys() & captures.keys())[:3]:
        raise TapeError(f"there as tapes and as recordings: {', '.join(both)}")
    labels = _labels(part for of_key in parts.values() for part in of_key)
    tapes = [_tape(key, of_key, labels) for key, of_key in parts.items()]
    tapes += [Tape(key=key, capture=capture, outcome=_WINNERS.get(capture.up_won)) for key, capture in captures.items()]
    return sorted(tapes, key=lambda tape: tape.key)


def header_of(part: Path) -> TapeHeader | None:
    """The first line of a part, if it is there and legible."""
    for piece in read_blocks(part):
        if isinstance(piece, Block):
            try:
                first = record_of(piece.text[: piece.text.find(b"\n")])
            except TapeError:
                return None
            return first if piece.first == 0 and isinstance(first, TapeHeader) else None
        return None
    return None


def _found(path: Path) -> Iterator[Path | Capture]:
    if not path.exists():
        raise TapeError(f"{path}: no such file or folder")
    if path.name.endswith(CAPTURE_SUFFIX) or (path.is_dir() and any(path.glob(f"*{CAPTURE_SUFFIX}"))):
        yield from find_captures(path)
    if not path.is_dir():
        if parse_part(path.name) is not None:
            yield path
        elif not path.name.endswith(CAPTURE_SUFFIX):
            raise TapeError(
                f"{path}: not a recording (<slug>{CAPTURE_SUFFIX}), and not part of a tape (<slug>.<part>{SUFFIX})"
            )
        return
    files = [*path.iterdir(), *(file for day in path.iterdir() if is_day(day.name) for file in _files(day))]
    found = [file for file in files if parse_part(file.name) is not None]
    if not found and not any(path.glob(f"*{CAPTURE_SUFFIX}")):
        raise TapeError(f"{path}: no tapes (*{SUFFIX}, in folders named like 2026-01-31) or recordings here")
    yield from found


def _files(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def _key_of(part: Path) -> str:
    parsed = parse_part(part.name)
    return part.name if parsed is None else parsed[0]


def _tape(key: str, parts: Iterable[Path], labels: Mapping[str, Label]) -> Tape:
    unique = {part.resolve(): part for part in parts}
    ordered = sorted(unique.values(), key=_place)
    label = labels.get(key)
    needed = len(ordered) > 1 or label is None
    headers = [header_of(part) if needed else None for part in ordered]
    outcome = _said_outcome(headers) if label is None else label.outcome
    return Tape(key=key, parts=_by_run(ordered, headers), label=label, outcome=outcome)


def _place(part: Path) -> tuple[str, int, str]:
    parsed = parse_part(part.name)
    day = part.parent.name if is_day(part.parent.name) else ""
    return day, 0 if parsed is None else parsed[1], str(part.parent)


def _by_run(parts: list[Path], headers: list[TapeHeader | None]) -> tuple[Path, ...]:
    """Parts of one run one after the other, runs by their beginning; without a header, with the part before."""
    runs: dict[int, list[Path]] = {}
    run = -1
    for part, header in zip(parts, headers, strict=True):
        run = run if header is None else header.run
        runs.setdefault(run, []).append(part)
    return tuple(part for run in sorted(runs) for part in runs[run])


def _labels(parts: Iterable[Path]) -> dict[str, Label]:
    labels: dict[str, Label] = {}
    for root in sorted({root_of(part) for part in parts}):
        for label in read_labels(root).values():
            labels.update({name: label for name in (label.condition_id, label.slug) if name is not None})
    return labels


def _said_outcome(headers: Iterable[TapeHeader | None]) -> Outcome | None:
    outcomes = (header.outcome for header in headers if header is not None)
    return next((outcome for outcome in outcomes if isinstance(outcome, Outcome)), None)
