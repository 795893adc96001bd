"""Merging: what was recorded into many parts and folders, as one tidy folder.

One recorder's parts, whatever days, restarts and folders they are from, become one part per market and day. What is
missing stays missing: a ``lost`` line says so in its place. What two recorders saw of one market at the same time is
no sequence of records, so it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import UNSET

from actors.labelbook import append_label
from actors.tapes.batches import WholeTape
from actors.tapes.finding import Tape, header_of
from actors.tapes.layout import root_of
from actors.tapes.mending import HOLE
from actors.tapes.report import Examination, TapeReport, examine
from engine.errors import TapeError
from engine.records import Disconnected, Record, Unfollowed
from engine.tape import Lost

MISSING: Final = "merged"
"""The ``reason`` of what was missing before the merge."""

_SAID: Final = ("scoring", "source", "outcome", "tokens")


def merge_tapes(tapes: Sequence[Tape], folder: Path) -> list[TapeReport]:
    """Write tapes, and their labels, into a folder that has none of them; says what was found on each.

    The merged tapes replay as the given ones do. Raises ``TapeError``, before anything is written, for recordings of
    the older kind (import them), for tapes of that folder itself, for a market that is there already, for followings
    that overlap, and for parts of another market or version; ``OSError`` when the disk refuses: the tapes before are
    whole then, and nothing is left of the one that was being written.
    """
    for tape in tapes:
        _refuse(tape, folder)
    return [_merge(tape, folder) for tape in tapes]


def _refuse(tape: Tape, folder: Path) -> None:
    if tape.capture is not None:
        raise TapeError(f"{tape.capture.path}: a recording, to be imported first")
    if any(root_of(part).resolve() == folder.resolve() for part in tape.parts):
        raise TapeError(f"{folder}: {tape.key} is to be merged into the folder it is from")
    WholeTape(folder, tape.key)
    if len(tape.parts) > 1:
        found = examine(tape)
        if found.overlapping or found.foreign:
            what = "followings that overlap" if found.overlapping else "parts of another market or version"
            raise TapeError(f"{tape.key}: has {what}; give parts of one recorder only")


def _merge(tape: Tape, folder: Path) -> TapeReport:
    examination = Examination(tape)
    with WholeTape(folder, tape.key, **_said(tape)) as merged:
        merged.write(_confessed(examination))
    if tape.label is not None:
        append_label(folder, tape.label)
    return examination.report()


def _said(tape: Tape) -> dict[str, Any]:
    headers = (header_of(part) for part in tape.parts)
    header = next((header for header in headers if header is not None), None)
    said = {name: getattr(header, name, UNSET) for name in _SAID}
    return {name: value for name, value in said.items() if value is not UNSET}


def _confessed(examination: Examination) -> Iterator[Record | Lost]:
    """The records, and a line wherever some are missing.

    It comes behind the disconnect, or the end, that stands for them: before it, it would call for another one.
    """
    holes = missing = last_ns = 0
    for record in examination.records():
        if examination.holes > holes and not _stands_for_a_hole(record):
            yield _lost(last_ns or record.at_ns, record.at_ns, examination.missing - missing)
            holes, missing = examination.holes, examination.missing
        last_ns = record.at_ns
        yield record
    if examination.holes > holes and last_ns:
        yield _lost(last_ns, last_ns, examination.missing - missing)


def _stands_for_a_hole(record: Record) -> bool:
    return isinstance(record, Unfollowed) or (isinstance(record, Disconnected) and record.reason == HOLE)


def _lost(at_ns: int, until_ns: int, records: int) -> Lost:
    return Lost(at_ns=at_ns, records=records, until_ns=until_ns, reason=MISSING)
