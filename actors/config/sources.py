"""The sources of a configuration, each read into a layer of plain TOML values that remembers where they stand.

Files, environment variables and flags are layers of the same shape; a later layer covers an earlier one table by table.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import Factory, frozen

from actors.config.lines import key_lines
from actors.config.origins import ConfigError, KeyPath, Kind, Origin, Problem

FILE_BYTES: Final = 1 << 20
"""A configuration file may be this large."""

KEY_PARTS: Final = 32
"""A key may be nested this deep; the deepest setting has three parts."""

ENVIRONMENT_PREFIX: Final = "UPDOWN__"
_LINE: Final = re.compile(r" ?\(at (?:line (?P<line>\d+), column \d+|end of document)\)$")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_VALUE: Final = "value"


@frozen(kw_only=True)
class Layer:
    """Nested tables of TOML values, and the origins of the keys in them."""

    tree: Mapping[str, Any] = Factory(dict)
    origins: Mapping[KeyPath, Origin] = Factory(dict)


def read_file(path: Path) -> Layer:
    """The layer of a TOML file; raises ``ConfigError`` for one that cannot be read, is too large, or is not TOML."""
    text = _text(path)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(path, text, str(error))]) from error
    except RecursionError as error:
        raise _file_error(path, "nested too deeply") from error
    lines = key_lines(text)
    if any(len(key) > KEY_PARTS for key in lines):
        raise _file_error(path, f"a key of more than {KEY_PARTS} parts")
    return Layer(tree=tree, origins={key: _in_file(path, line) for key, line in lines.items()})


def variables(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """The variables that are settings, by name."""
    return sorted((name, text) for name, text in environ.items() if name.startswith(ENVIRONMENT_PREFIX))


def read_variable(name: str, text: str) -> Layer:
    """The layer of one ``UPDOWN__SECTION__KEY``; raises ``ConfigError`` when the name is not of this form."""
    path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
    return _assignment(path, text, Origin(kind=Kind.ENVIRONMENT, name=name))


def read_flag(text: str, flag: str = "--set") -> Layer:
    """The layer of one ``section.key=value``; raises ``ConfigError`` when it is not of this form."""
    origin = Origin(kind=Kind.FLAG, name=flag)
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError([Problem(message=f"not of the form section.key=value: {text!r}", origin=origin)])
    return _assignment(tuple(part.strip() for part in key.split(".")), value, origin)


def merged(layers: Iterable[Layer]) -> Layer:
    """All layers in one, later ones over earlier ones. Tables are merged, everything else (arrays too) is replaced."""
    tree: dict[str, Any] = {}
    origins: dict[KeyPath, Origin] = {}
    for layer in layers:
        _cover(tree, layer.tree, origins, ())
        origins.update(layer.origins)
    return Layer(tree=tree, origins=origins)


def _cover(below: dict[str, Any], above: Mapping[str, Any], origins: dict[KeyPath, Origin], path: KeyPath) -> None:
    for key, value in above.items():
        here = (*path, key)
        if isinstance(value, dict):
            if not isinstance(below.get(key), dict):
                below[key] = {}
            _cover(below[key], value, origins, here)
            continue
        if key in below:
            for covered in [known for known in origins if known[: len(here)] == here]:
                del origins[covered]
        below[key] = value


def _assignment(path: tuple[str, ...], value: str, origin: Origin) -> Layer:
    if not all(map(_NAME.fullmatch, path)):
        raise ConfigError([Problem(message=f"no key of a section: {'.'.join(path)!r}", origin=origin)])
    tree: Any = _value(value)
    for part in reversed(path):
        tree = {part: tree}
    return Layer(tree=tree, origins={path: origin})


def _value(text: str) -> Any:
    """A TOML value; what is none (a bare word, a path) is a string."""
    try:
        parsed = tomllib.loads(f"{_VALUE} = {text.strip()}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    # A line break in the text could bring further keys along.
    return parsed[_VALUE] if len(parsed) == 1 else text


def _text(path: Path) -> str:
    try:
        content = _content(path)
    except OSError as error:
        raise _file_error(path, error.strerror or type(error).__name__) from error
    if content is None:
        raise _file_error(path, "not a regular file")
    if len(content) > FILE_BYTES:
        raise _file_error(path, f"larger than {FILE_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(message="not UTF-8", origin=_in_file(path, line))]) from error


def _content(path: Path) -> bytes | None:
    """At most one byte more than is allowed; ``None`` for what is no file, found out without opening it.

    Opening a pipe would wait for its writer, and reading /dev/zero never ends.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with path.open("rb") as file:
        return file.read(FILE_BYTES + 1)


def _syntax_problem(path: Path, text: str, message: str) -> Problem:
    found = _LINE.search(message)
    line = int(found["line"]) if found is not None and found["line"] else text.count("\n") + 1
    return Problem(message=f"not TOML: {_LINE.sub('', message)}", origin=_in_file(path, line))


def _file_error(path: Path, message: str) -> ConfigError:
    return ConfigError([Problem(message=message, origin=_in_file(path, None))])


def _in_file(path: Path, line: int | None) -> Origin:
    return Origin(kind=Kind.FILE, name=os.fspath(path), line=line)
