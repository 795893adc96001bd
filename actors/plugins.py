"""Plug-ins: scorers that other distributions offer by entry point.

A distribution that has ::

    [project.entry-points."updown.scorers"]
    mine = "my_package:my_factory"

makes ``scoring.preset = "mine"`` work, ``my_factory`` being a ``ScorerFactory``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from actors.crash import summary
from engine.errors import UpdownError
from engine.scoring import SCORERS, ScorerFactory

SCORER_GROUP: Final = "updown.scorers"


class PluginError(UpdownError):
    """A plug-in that cannot be used; names its distribution."""


def names(group: str = SCORER_GROUP) -> frozenset[str]:
    """What plug-ins there are; nothing is loaded."""
    return frozenset(entry_points(group=group).names)


def discover(group: str = SCORER_GROUP) -> Mapping[str, ScorerFactory]:
    """Every scorer factory by name, loaded.

    Raises ``PluginError`` for one that cannot be loaded or called, and for a name that is taken.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        if point.name in SCORERS:
            raise PluginError(f"{_named(point)}: the name of a built-in scorer")
        if point.name in found and found[point.name] != point:
            raise PluginError(f"{_named(point)}: the name is taken by {_named(found[point.name])}")
        found[point.name] = point
    return {name: _loaded(point) for name, point in found.items()}


def _loaded(point: EntryPoint) -> ScorerFactory:
    try:
        factory = point.load()
    except Exception as error:
        raise PluginError(f"{_named(point)}: cannot be loaded: {summary(error)}") from error
    if not callable(factory):
        raise PluginError(f"{_named(point)}: {point.value} cannot be called")
    return cast(ScorerFactory, factory)


def _named(point: EntryPoint) -> str:
    owner = "an unknown distribution" if point.dist is None else f"{point.dist.name} {point.dist.version}"
    return f"scorer {point.name!r} of {owner}"
