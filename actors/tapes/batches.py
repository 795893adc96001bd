"""Whole tapes written at once, in blocks as large as they come."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from actors.tapes.layout import SUFFIX
from actors.tapes.writer import BLOCK_BYTES, TapeWriter
from engine.errors import TapeError
from engine.tape import TapeItem, line_bytes

_BATCH_BYTES: Final = 4 * BLOCK_BYTES


class WholeTape:
    """Writes one tape that is not there yet; as a context manager: whole, or not at all.

    Raises ``TapeError`` if the folder has one of this key already, and ``OSError`` when it cannot be written.
    """

    def __init__(self, folder: Path, key: str, **said: Any) -> None:
        if _parts(folder, key):
            raise TapeError(f"{folder}: has a tape of {key} already")
        self._folder = folder
        self._key = key
        self._writer = TapeWriter(folder)
        self._writer.describe(key, **said)
        self._batch: list[tuple[str, bytes, int]] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        whole = False
        try:
            if error is None:
                self._flush()
            self._writer.close()
            whole = error is None
        finally:
            if not whole:
                for part in _parts(self._folder, self._key):
                    part.unlink(missing_ok=True)

    def write(self, items: Iterable[TapeItem]) -> None:
        """Append items, in the order of their times."""
        for item in items:
            line = line_bytes(item)
            self._batch.append((self._key, line, item.at_ns))
            self._bytes += len(line)
            if self._bytes >= _BATCH_BYTES:
                self._flush()

    def parts(self) -> tuple[Path, ...]:
        """The files that were written."""
        return tuple(_parts(self._folder, self._key))

    def _flush(self) -> None:
        batch, self._batch, self._bytes = self._batch, [], 0
        self._writer.write(batch)


def _parts(folder: Path, key: str) -> list[Path]:
    return sorted(folder.glob(f"*/{key}.*{SUFFIX}"))
