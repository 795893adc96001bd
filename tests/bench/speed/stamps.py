"""When each message of each market was sent: a file that the load generator and its clients have in common.

Times are nanoseconds of the system's monotonic clock, which all processes share. Messages are counted from 0, the
opening, on each connection anew; the last ``DEPTH`` of a market are kept.
"""

from __future__ import annotations

import mmap
import time
from pathlib import Path
from typing import Self

DEPTH = 1024


class Stamps:
    """The table; a client only reads it."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._table = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")

    @classmethod
    def made(cls, path: Path, markets: int) -> Self:
        """A new table."""
        path.write_bytes(bytes(8 * DEPTH * markets))
        return cls(path)

    def sent(self, market: int, message: int) -> None:
        """This message goes out now."""
        self._table[market * DEPTH + message % DEPTH] = time.monotonic_ns()

    def age_ns(self, market: int, message: int) -> int:
        """How long ago that was."""
        return time.monotonic_ns() - self._table[market * DEPTH + message % DEPTH]
