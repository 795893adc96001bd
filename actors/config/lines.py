"""On which line each key of a TOML text stands, for messages.

For texts that ``tomllib`` has accepted already: it finds its way through them, it does not judge. Keys inside inline
tables and arrays are left out; whoever looks for one falls back to the key that holds the inline value.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from actors.config.origins import KeyPath

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_KEY: Final = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_STATEMENT: Final = re.compile(
    rf"[ \t]*(?:\[\[[ \t]*(?P<element>{_KEY})[ \t]*\]\]|\[[ \t]*(?P<table>{_KEY})[ \t]*\]|(?P<key>{_KEY})[ \t]*=)"
)
_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|#[^\n]*|[\[{\]}\n]",
    re.DOTALL,
)
_DEPTH: Final = {"[": 1, "{": 1, "]": -1, "}": -1}


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """The line (from 1) of every key, table and element of an array of tables in a valid TOML text."""
    place = _Place()
    for line, match in _statements(text):
        place.take(match, line)
    return place.lines


class _Place:
    """Follows the statements of a text from top to bottom."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._table: KeyPath = ()
        self._last_element: dict[KeyPath, int] = {}

    def take(self, statement: re.Match[str], line: int) -> None:
        match statement.lastgroup:
            case "key":
                self._note(self._table, _parts(statement["key"]), line)
            case "table":
                self._table = self._note((), _parts(statement["table"]), line)
            case _:
                self._table = self._element(_parts(statement["element"]), line)

    def _note(self, start: KeyPath, parts: tuple[str, ...], line: int) -> KeyPath:
        path = start
        for part in parts:
            path = (*path, part)
            self.lines.setdefault(path, line)
            if path in self._last_element:
                path = (*path, self._last_element[path])
        return path

    def _element(self, parts: tuple[str, ...], line: int) -> KeyPath:
        array = (*self._note((), parts[:-1], line), parts[-1])
        self.lines.setdefault(array, line)
        self._last_element[array] = self._last_element.get(array, -1) + 1
        element = (*array, self._last_element[array])
        self.lines[element] = line
        return element


def _statements(text: str) -> Iterator[tuple[int, re.Match[str]]]:
    position, line = 0, 1
    while position < len(text):
        match = _STATEMENT.match(text, position)
        if match is not None:
            yield line, match
        end = _end_of_statement(text, position if match is None else match.end())
        line += text.count("\n", position, end)
        position = end


def _end_of_statement(text: str, position: int) -> int:
    """Past the line break that ends the value at ``position``: the first one outside of brackets and strings."""
    depth = 0
    for token in _TOKEN.finditer(text, position):
        depth += _DEPTH.get(token[0], 0)
        if token[0] == "\n" and depth <= 0:
            return token.end()
    return len(text)


@lru_cache(maxsize=256)
def _parts(key: str) -> tuple[str, ...]:
    parts: list[str] = []
    table: Any = tomllib.loads(f"{key} = 0")
    while isinstance(table, dict):
        (part, table), *_ = table.items()
        parts.append(part)
    return tuple(parts)
