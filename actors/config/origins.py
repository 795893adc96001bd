"""Where a setting came from, and what is wrong with it: the words of every message about configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from actors.faults import excerpt
from engine.errors import SettingsError

KeyPath = tuple[str | int, ...]
"""From the root to a key: ``("scoring", "window_s")``, ``("follow", 1, "series")``."""


class Kind(StrEnum):
    """The places a setting can come from, weakest first."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


@frozen(kw_only=True)
class Origin:
    """One place: ``name`` is the file, the variable or the flag; ``line`` counts from 1 and is known of files only."""

    kind: Kind
    name: str = field(default="", converter=excerpt)
    line: int | None = None

    def __str__(self) -> str:
        if self.kind is Kind.DEFAULT:
            return "default"
        return self.name if self.line is None else f"{self.name}:{self.line}"


DEFAULT = Origin(kind=Kind.DEFAULT)


@frozen(kw_only=True)
class Problem:
    """One thing that is wrong; ``key`` is dotted, ``None`` where no key is concerned (a file that cannot be read)."""

    message: str = field(converter=excerpt)
    key: str | None = None
    origin: Origin = DEFAULT

    def __str__(self) -> str:
        place = () if self.origin.kind is Kind.DEFAULT else (str(self.origin),)
        return ": ".join((*place, *(() if self.key is None else (self.key,)), self.message))

    def as_json(self) -> dict[str, Any]:
        """The problem as plain JSON types; absent parts are ``None``."""
        return {
            "source": self.origin.kind.value,
            "file": self.origin.name if self.origin.kind is Kind.FILE else None,
            "line": self.origin.line,
            "key": self.key,
            "message": self.message,
            "text": str(self),
        }


class ConfigError(SettingsError):
    """A configuration that cannot be used; ``found`` holds every problem of all sources, ``problems`` their texts."""

    def __init__(self, found: Sequence[Problem]) -> None:
        super().__init__([str(problem) for problem in found])
        self.found = tuple(found)


def dotted(path: KeyPath) -> str:
    """``("follow", 1, "series")`` as ``follow[1].series``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return excerpt(text)


def nearest(origins: Mapping[KeyPath, Origin], path: KeyPath) -> Origin:
    """Where a key was given: itself, else something inside it, else the closest table around it, else ``DEFAULT``."""
    if path in origins:
        return origins[path]
    inside = (origin for known, origin in origins.items() if known[: len(path)] == path)
    around = (origins[path[:length]] for length in range(len(path) - 1, 0, -1) if path[:length] in origins)
    return next(inside, next(around, DEFAULT))
