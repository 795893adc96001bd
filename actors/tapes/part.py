"""One part of a tape while it is written: whole blocks or nothing, by one process, never touched by a later one."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from attrs import define

from actors.tapes.blocks import encode_block
from actors.tapes.layout import day_of, parse_part, part_name

if sys.platform != "win32":
    import fcntl

_FLAGS: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_TRIES: Final = 100
"""Other processes may take the next number at the same time; so often is not by chance."""


@define(eq=False, kw_only=True)
class Part:
    """An open part of ``size`` bytes and ``lines`` lines so far; ``number`` counts the parts of a key and UTC day."""

    path: Path
    number: int
    descriptor: int
    size: int = 0
    lines: int = 0

    @classmethod
    def create(cls, folder: Path, key: str, at_ns: int) -> Self:
        """The next part of a key in the folder of the day; a file of its own, mode 0600, that nobody had before.

        Raises ``OSError``: what the system says, and ``ELOOP`` for a day folder that is a link to elsewhere.
        """
        day = folder / day_of(at_ns)
        day.mkdir(mode=0o700, parents=True, exist_ok=True)
        if day.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(day))
        number = 1 + max((number for file in day.iterdir() for number in _number_of(key, file.name)), default=0)
        for candidate in range(number, number + _TRIES):
            path = day / part_name(key, candidate)
            with suppress(FileExistsError):
                descriptor = os.open(path, _FLAGS, 0o600)
                _lock(descriptor)
                return cls(path=path, number=candidate, descriptor=descriptor)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(day / part_name(key, number)))

    def append(self, lines: Sequence[bytes], at_ns: int) -> None:
        """Write one block, in one go.

        Raises ``OSError`` when not all of it could be written; the part is as it was then, or closed (see ``broken``).
        """
        block = encode_block(lines, at_ns, first=self.lines)
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError:
            self._take_back()
            raise
        self.size += len(block)
        self.lines += len(lines)

    @property
    def broken(self) -> bool:
        """Whether nothing more can be written."""
        return self.descriptor < 0

    def close(self) -> None:
        """Close it, on the disk as well; a part without any block is removed. Raises ``OSError``; closed it is."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor < 0:
            return
        try:
            if self.size:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if self.size:
            _sync_folder(self.path.parent)
        else:
            self.path.unlink(missing_ok=True)

    def _take_back(self) -> None:
        """Cut off what was written of a block; a file that cannot even be cut is left torn."""
        try:
            os.ftruncate(self.descriptor, self.size)
            os.lseek(self.descriptor, self.size, os.SEEK_SET)
        except OSError:
            with suppress(OSError):
                os.close(self.descriptor)
            self.descriptor = -1


def is_locked(path: Path) -> bool:
    """Whether some process has a part open for writing, as far as the system can tell (Windows cannot)."""
    if sys.platform == "win32":
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _number_of(key: str, name: str) -> tuple[int, ...]:
    parsed = parse_part(name)
    return (parsed[1],) if parsed is not None and parsed[0] == key else ()


def _lock(descriptor: int) -> None:
    """Tell other processes that this part is open; where files cannot be locked, they must know otherwise."""
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
