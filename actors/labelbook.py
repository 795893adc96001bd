"""The book of labels: one JSON line for each outcome, in ``labels.jsonl`` beside the tapes.

Lines are only ever appended, each with one write, and the last line of a market counts: what was given up may be
corrected later. The file is untrusted when it is read: whatever is in it, what can be read is read, and the rest told.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

import trio

from actors.faults import excerpt
from engine.errors import LabelError
from engine.labels import Label, label_of, line_of

NAME: Final = "labels.jsonl"

LINE_BYTES: Final = 1 << 12
"""A longer line is no label."""

MOST_LABELS: Final = 1_000_000
"""Markets in one book: a 15-minute series needs as many for 28 years."""

# No link is followed and no pipe is waited for, on systems that have such.
_CAREFUL: Final = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


class Labels(Mapping[str, Label]):
    """The labels of a book by condition id.

    ``damaged`` counts the lines that held none, ``problem`` says why the book could not be read, or not to its end
    (empty: it could, or there is none).
    """

    def __init__(self, labels: Mapping[str, Label], *, damaged: int = 0, problem: str = "") -> None:
        self._labels = labels
        self.damaged = damaged
        self.problem = problem

    def __getitem__(self, condition_id: str) -> Label:
        """The last label of a market; raises ``KeyError`` if it has none."""
        return self._labels[condition_id]

    def __iter__(self) -> Iterator[str]:
        """The condition ids, in the order of their first lines."""
        return iter(self._labels)

    def __len__(self) -> int:
        """How many markets have a label."""
        return len(self._labels)


class LabelBook:
    """Appends to the book of one folder, which is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def add(self, label: Label) -> None:
        """Append a label, in a worker thread; raises ``OSError``. When cancelled it may or may not be in the book."""
        await trio.to_thread.run_sync(append_label, self._folder, label, abandon_on_cancel=True)


def append_label(folder: Path, label: Label) -> None:
    """Append one line to the book of a folder and wait until it is on the disk.

    Raises ``OSError``; part of the line may then be in the book, and the next one begins behind it.
    """
    line = line_of(label).encode() + b"\n"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    book = _opened(folder / NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        fresh = not os.fstat(book).st_size
        if not fresh and _last_byte(book) != b"\n":
            line = b"\n" + line
        if os.write(book, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(book)
    finally:
        os.close(book)
    if fresh:
        _keep_entry(folder)


def read_labels(folder: Path) -> Labels:
    """The labels of a folder, none if it has no book; never raises because of what is, or is not, there."""
    labels: dict[str, Label] = {}
    damaged = 0
    try:
        with os.fdopen(_opened(folder / NAME, os.O_RDONLY), "rb") as book:
            for line in _lines(book):
                try:
                    label = label_of(line)
                except LabelError:
                    damaged += 1
                    continue
                if len(labels) >= MOST_LABELS and label.condition_id not in labels:
                    return Labels(labels, damaged=damaged, problem=f"more than {MOST_LABELS} labels")
                labels[label.condition_id] = label
    except FileNotFoundError:
        pass
    except OSError as error:
        return Labels(labels, damaged=damaged, problem=excerpt(f"{type(error).__name__}: {error}"))
    return Labels(labels, damaged=damaged)


def _lines(book: BinaryIO) -> Iterator[bytes]:
    """The lines, of one that is too long only its beginning."""
    while line := book.readline(LINE_BYTES + 1):
        yield line
        while line and not line.endswith(b"\n"):
            line = book.readline(LINE_BYTES)


def _opened(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | _CAREFUL, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def _last_byte(descriptor: int) -> bytes:
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1)


def _keep_entry(folder: Path) -> None:
    """See to it that a new file is still in its folder after a power cut, where the system lets a folder be synced."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
