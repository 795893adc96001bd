"""Where the parts of a tape lie: ``<folder>/<YYYY-MM-DD>/<key>.<part>.jsonl.zst``, by UTC day."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from engine.errors import UnknownSlug
from engine.markets import CONDITION_ID_PATTERN, Target
from engine.series import DAY_S, slot_of_slug, underlying_of
from engine.tape import MAX_TIME_NS
from engine.units import NS_PER_S

SUFFIX: Final = ".jsonl.zst"
DAY_NS: Final = DAY_S * NS_PER_S

_KEY: Final = r"[a-z0-9][a-z0-9-]{0,199}"
_is_key: Final = re.compile(_KEY).fullmatch
_is_condition_id: Final = re.compile(CONDITION_ID_PATTERN).fullmatch
_part_of: Final = re.compile(rf"({_KEY})\.([1-9][0-9]{{0,8}}){re.escape(SUFFIX)}").fullmatch
_is_day: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])").fullmatch


def is_key(text: str) -> bool:
    """Whether a text can name a tape: a slug or an id of digits and lower-case letters, nothing that is a path."""
    return _is_key(text) is not None


def part_name(key: str, part: int) -> str:
    """The file name of a part; raises ``ValueError`` for a key that is none."""
    if not is_key(key):
        raise ValueError(f"neither a slug nor a condition id: {key[:100]!r}")
    return f"{key}.{part}{SUFFIX}"


def parse_part(name: str) -> tuple[str, int] | None:
    """Key and number of the part that a file name is of, ``None`` for any other name."""
    match = _part_of(name)
    return None if match is None else (match[1], int(match[2]))


def is_day(name: str) -> bool:
    """Whether a folder is named like a day."""
    return _is_day(name) is not None


def day_of(at_ns: int) -> str:
    """The UTC day of an instant, as folders are named."""
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime("%Y-%m-%d")


def day_bounds(at_ns: int) -> tuple[int, int]:
    """Begin and end (exclusive) of the UTC day that holds an instant."""
    start_ns = at_ns - at_ns % DAY_NS
    return start_ns, min(start_ns + DAY_NS, MAX_TIME_NS)


def root_of(part: Path) -> Path:
    """The folder of the day folders, or the folder itself where a part lies in no day folder."""
    return part.parent.parent if is_day(part.parent.name) else part.parent


def target_named(key: str) -> Target:
    """What a tape of this key is about, as far as the key alone tells."""
    if _is_condition_id(key):
        return Target(key=key, condition_id=key)
    try:
        return slot_of_slug(key).target()
    except UnknownSlug:
        return Target(key=key, slug=key, underlying=underlying_of(key))
