"""Recordings of the older kind, written as tapes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from attrs import frozen

from actors.captures import Capture, CaptureError, read_capture
from actors.tapes.batches import WholeTape
from engine.markets import Outcome
from engine.records import Frame, Record, Unfollowed
from engine.tape import Lost

SOURCE: Final = "capture"
TOKENS: Final = "up_only"
"""A recording holds one of the two tokens, which is taken as Up."""

_OUTCOMES: Final = {True: Outcome.UP, False: Outcome.DOWN, None: None}


@frozen(kw_only=True)
class Imported:
    """A recording that is a tape now. ``problem`` says where and why it could not be read to its end, if so."""

    key: str
    parts: tuple[Path, ...]
    records: int
    problem: str | None = None


def import_capture(capture: Capture, folder: Path) -> Imported:
    """Write a recording into a folder as a tape that replays alike; its header names source and outcome.

    What comes before damage is imported, and a ``lost`` line stands where the recording ends too soon. Raises
    ``TapeError`` if the folder has a tape of this market already, and ``OSError`` when it cannot be written; nothing
    is left of it then.
    """
    records, frames, last, problem = 0, 0, None, None
    with WholeTape(folder, capture.slug, source=SOURCE, outcome=_OUTCOMES[capture.up_won], tokens=TOKENS) as tape:
        try:
            for _, last in read_capture(capture):
                tape.write([last])
                records += 1
                frames += isinstance(last, Frame)
        except CaptureError as error:
            problem = str(error)
            if last is not None:
                tape.write(_cut_off(last, max((capture.messages or 0) - frames, 0)))
                records += 1
    return Imported(key=capture.slug, parts=tape.parts(), records=records, problem=problem)


def _cut_off(last: Record, missing: int) -> list[Lost | Unfollowed]:
    at_ns = last.at_ns + 1
    return [Unfollowed(at_ns=at_ns), Lost(at_ns=at_ns, records=missing, until_ns=at_ns, reason="cut_off")]
