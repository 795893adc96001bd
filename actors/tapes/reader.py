"""The reader of tapes: files in, records that replay out, whatever has become of the files meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import heappop, heappush, heapreplace
from pathlib import Path
from typing import Any, TypeVar

from attrs import frozen

from actors.captures import Capture, CaptureError, read_capture
from actors.tapes.blocks import Block, Damage, read_blocks
from actors.tapes.finding import Tape, find_tapes, header_of
from actors.tapes.mending import Mending
from engine.errors import TapeError
from engine.records import Record, Unfollowed
from engine.tape import TapeItem, items_of

__all__ = [
    "Lines",
    "PartBegins",
    "Piece",
    "Tape",
    "find_tapes",
    "mended",
    "merged",
    "read_pieces",
    "read_tape",
    "staggered",
    "start_ns",
    "time_of",
]

T = TypeVar("T")


@frozen
class PartBegins:
    """What comes from here on is of this file."""

    path: Path


@frozen
class Lines:
    """What one block holds, to be gone through once."""

    block: Block
    items: Iterable[TapeItem | TapeError]


Piece = PartBegins | Lines | Damage


def read_tape(tape: Tape) -> Iterator[tuple[str, Record]]:
    """The records of a tape as ``engine.replay`` takes them, paired with its key.

    Never raises because of what the files hold: what is missing is missing (``actors.tapes.examine`` says what), a
    following that was cut off ends a nanosecond after its last record. One block is in memory at a time.
    """
    if tape.capture is not None:
        yield from _read_capture(tape.capture)
        return
    key = tape.key
    for record in mended(read_pieces(tape.parts), Mending(key)):
        yield key, record


def merged(tapes: Iterable[Tape]) -> Iterator[tuple[str, Record]]:
    """The records of several tapes in the order of their time; of one time, in the order of the tapes.

    A tape is opened when its time comes, so as many files are open as were recorded at the same time.
    """
    return staggered(((start_ns(tape), partial(read_tape, tape)) for tape in tapes), time_of)


def time_of(pair: tuple[str, Record]) -> tuple[int]:
    """The place of a record among those of other markets."""
    return (pair[1].at_ns,)


def staggered(
    sources: Iterable[tuple[int, Callable[[], Iterator[T]]]], place: Callable[[T], tuple[int, *tuple[Any, ...]]]
) -> Iterator[T]:
    """Merge what ordered sources give, of equals the first source's first.

    A source is the earliest time at which it can begin, and what opens it; it is opened when that time has come.
    ``place`` is what each source is ordered by, its time first.
    """
    waiting = [(start, position, begin) for position, (start, begin) in enumerate(sources)]
    waiting.sort(reverse=True, key=lambda each: each[:2])
    heap: list[tuple[tuple[int, *tuple[Any, ...]], int, T, Iterator[T]]] = []
    while waiting or heap:
        while waiting and (not heap or waiting[-1][0] <= heap[0][0][0]):
            _, position, begin = waiting.pop()
            items = begin()
            for item in items:
                heappush(heap, (place(item), position, item, items))
                break
        if not heap:
            continue
        _, position, item, items = heap[0]
        yield item
        following = next(items, None)
        if following is None:
            heappop(heap)
        else:
            heapreplace(heap, (place(following), position, following, items))


def read_pieces(parts: Iterable[Path]) -> Iterator[Piece]:
    """What is in these files, in order, as it is."""
    for part in parts:
        yield PartBegins(part)
        for piece in read_blocks(part):
            yield Lines(piece, items_of(piece.text)) if isinstance(piece, Block) else piece


def mended(pieces: Iterable[Piece], mending: Mending) -> Iterator[Record]:
    """The records in these pieces, mended; ``mending`` knows afterwards what was left out."""
    for piece in pieces:
        if isinstance(piece, Lines):
            mending.passed(piece.block.lines)
            for item in piece.items:
                yield from mending.take(item)
        elif isinstance(piece, PartBegins):
            mending.part()
        elif mending.torn and piece.lines != 0:
            mending.passed(piece.lines or 0)
            mending.lose(piece.lines)
    yield from mending.finish()


def _read_capture(capture: Capture) -> Iterator[tuple[str, Record]]:
    record: Record | None = None
    try:
        for key, record in read_capture(capture):
            yield key, record
    except CaptureError:
        if record is not None:
            yield capture.slug, Unfollowed(at_ns=record.at_ns + 1)


def start_ns(tape: Tape) -> int:
    """No record of the tape is older."""
    if tape.capture is not None:
        return next((record.at_ns for _, record in _read_capture(tape.capture)), 0)
    header = header_of(tape.parts[0]) if tape.parts else None
    return 0 if header is None else header.at_ns
