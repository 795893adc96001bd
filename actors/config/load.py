"""Loads the settings of a process: default < file < environment ``UPDOWN__SECTION__KEY`` < flag.

Everything that is wrong is reported together, each problem with the file and line, variable or flag it stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import frozen

from actors.config.origins import DEFAULT, ConfigError, KeyPath, Kind, Origin, Problem, dotted, nearest
from actors.config.refusals import refusals
from actors.config.sources import Layer, merged, read_file, read_flag, read_variable, variables
from actors.config.structure import Complaint, Rejected, structure
from engine.settings import Settings

HIDDEN: Final = "***"
_PRESET_KEYS: Final = ("preset", "weights", "options")


@frozen(kw_only=True)
class Loaded:
    """Settings, and where each of them came from; those without an origin are defaults."""

    settings: Settings
    origins: Mapping[KeyPath, Origin]

    def rows(self) -> Iterator[tuple[KeyPath, Any, Origin]]:
        """Every value with its origin, sections and keys in documented order; secrets are hidden.

        A field is secret when its metadata say so: ``field(metadata={"secret": True})``.
        """
        for path, value in _leaves(self.settings, ()):
            yield path, value, self.origins.get(path, DEFAULT)


def load_settings(
    files: Iterable[Path] = (),
    overrides: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
    *,
    flags: Mapping[str, str] | None = None,
    plugins: Collection[str] = (),
) -> Loaded:
    """The settings of these sources, later files over earlier ones.

    ``overrides`` are ``section.key=value`` texts of ``--set``; ``flags`` are such texts by the name of the flag that
    stands for them, and stronger. ``plugins`` are the names of plug-in scorers. Raises ``ConfigError`` with every
    problem of all sources.
    """
    reads = (
        *(partial(read_file, path) for path in files),
        *(partial(read_variable, name, text) for name, text in variables(environ or {})),
        *(partial(read_flag, text) for text in overrides),
        *(partial(read_flag, text, flag) for flag, text in (flags or {}).items()),
    )
    problems: list[Problem] = []
    whole = merged(_gathered(reads, problems))
    settings, complaints = _structured(whole, plugins)
    problems += [_located(whole, complaint) for complaint in complaints]
    if problems:
        raise ConfigError(sorted(problems, key=_place))
    given = {path: nearest(whole.origins, path) for path, _ in _leaves(settings, ()) if _holds(whole.tree, path)}
    return Loaded(settings=settings, origins=given)


def _place(problem: Problem) -> tuple[int, str, int]:
    return list(Kind).index(problem.origin.kind), problem.origin.name, problem.origin.line or 0


def _gathered(reads: Iterable[Callable[[], Layer]], problems: list[Problem]) -> Iterator[Layer]:
    for read in reads:
        try:
            yield read()
        except ConfigError as error:
            problems += error.found


def _structured(whole: Layer, plugins: Collection[str]) -> tuple[Settings, list[Complaint]]:
    settings, complaints = Settings(), []
    try:
        settings = structure(whole.tree, plugins=plugins)
    except Rejected as error:
        complaints = error.complaints
    return settings, [*complaints, *_duplicates(whole.tree), *_refusals(whole, complaints)]


def _duplicates(tree: Mapping[str, Any]) -> Iterator[Complaint]:
    # Told from the raw values, so that it is told along with everything else.
    listed = tree.get("follow")
    first: dict[str, int] = {}
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        names = [name for name in entry.values() if isinstance(name, str)] if isinstance(entry, dict) else []
        if len(names) == 1 and first.setdefault(names[0], index) != index:
            yield ("follow", index), f"{names[0]} is followed already by {dotted(('follow', first[names[0]]))}"


def _refusals(whole: Layer, complaints: Collection[Complaint]) -> Iterator[Complaint]:
    """What the scorer says to its weights and options, once nothing else is wrong with them."""
    concerned = {("scoring",), *(("scoring", key) for key in _PRESET_KEYS)}
    if not any(path[:2] in concerned for path, _ in complaints):
        yield from refusals(whole.tree.get("scoring", {}), whole.origins)


def _located(whole: Layer, complaint: Complaint) -> Problem:
    path, message = complaint
    return Problem(message=message, key=dotted(path), origin=nearest(whole.origins, path))


def _holds(tree: Any, path: KeyPath) -> bool:
    """Whether a tree of TOML values has this key."""
    for part in path:
        if isinstance(part, str) and part not in tree:
            return False
        tree = tree[part]
    return True


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    for name, member in attrs.asdict(value, recurse=False).items():
        here = (*path, name)
        if attrs.has(type(member)):
            yield from _leaves(member, here)
        elif name == "follow" and member:
            for index, follow in enumerate(member):
                yield from ((leaf, chosen) for leaf, chosen in _leaves(follow, (*here, index)) if chosen is not None)
        elif isinstance(member, Mapping) and member:
            yield from (((*here, key), entry) for key, entry in member.items())
        else:
            secret = attrs.fields_dict(type(value))[name].metadata.get("secret", False)
            yield here, HIDDEN if secret and member is not None else member
