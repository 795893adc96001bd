"""Keeping: how long and how much. Deletes the oldest parts that nobody is writing, and says which."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from actors.tapes.layout import DAY_NS, day_of, is_day, parse_part
from actors.tapes.part import is_locked

BYTES_PER_GB: Final = 1_000_000_000


@frozen(kw_only=True)
class Kept:
    """What was deleted, and what is there now. ``problems`` are files the system would not let go of, and why.

    ``over_quota`` says that what is left, all of it being written, is more than the quota.
    """

    deleted: tuple[Path, ...]
    deleted_bytes: int
    left_bytes: int
    over_quota: bool
    problems: tuple[str, ...] = ()


@frozen(kw_only=True)
class _Stored:
    path: Path
    day: str
    changed_ns: int
    size: int


def keep(
    folder: Path, *, now_ns: int, keep_days: float = 0, max_gb: float = 0, open_parts: Collection[Path] = ()
) -> Kept:
    """Delete the parts of days that ended more than ``keep_days`` ago, then the oldest until ``max_gb`` hold the rest.

    0 is no limit. Parts in ``open_parts``, and those that another process has open (where the system can tell), stay.
    Only parts in day folders of ``folder`` are counted or touched, links to them never are; day folders that are empty
    then are removed.
    """
    stored = sorted(_stored(folder), key=lambda each: (each.day, each.changed_ns, each.path))
    oldest_kept = day_of(max(now_ns - round(keep_days * DAY_NS), 0)) if keep_days > 0 else ""
    quota = max_gb * BYTES_PER_GB if max_gb > 0 else float("inf")
    left = sum(each.size for each in stored)
    spared = {path.resolve() for path in open_parts}
    deleted: list[_Stored] = []
    problems: list[str] = []
    for each in stored:
        if each.day >= oldest_kept and left <= quota:
            break
        if each.path.resolve() in spared or is_locked(each.path):
            continue
        try:
            each.path.unlink()
        except OSError as error:
            problems.append(f"{each.path}: {error.strerror}")
            continue
        deleted.append(each)
        left -= each.size
    for day in sorted({each.path.parent for each in deleted}):
        with suppress(OSError):
            day.rmdir()
    return Kept(
        deleted=tuple(each.path for each in deleted),
        deleted_bytes=sum(each.size for each in deleted),
        left_bytes=left,
        over_quota=left > quota,
        problems=tuple(problems),
    )


def _stored(folder: Path) -> Iterator[_Stored]:
    """Every part in a day folder: real files in real folders."""
    for day in _entries(folder):
        if not is_day(day.name) or not day.is_dir(follow_symlinks=False):
            continue
        for file in _entries(Path(day.path)):
            with suppress(OSError):
                found = file.stat(follow_symlinks=False)
                if parse_part(file.name) is not None and stat.S_ISREG(found.st_mode):
                    yield _Stored(path=Path(file.path), day=day.name, changed_ns=found.st_mtime_ns, size=found.st_size)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
