"""Presets: which scorer, with which weights and options, as data.

Weights name components of the score (``momentum``, ``volume_flow``, ``whale``, ``imbalance``). Which options there are
is the scorer's to say; it refuses the others when it is built.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, field, frozen
from attrs.validators import min_len

from engine.errors import PresetError
from engine.settings import ScoringSettings


def _read_only(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(mapping))


@frozen(kw_only=True)
class Preset:
    """One way to score.

    ``scorer`` is ``"seed"``, ``"corrected"`` or the name of a plug-in. ``version`` changes whenever the same input
    would give another number.
    """

    name: str = field(validator=min_len(1))
    version: str = field(validator=min_len(1))
    scorer: str = field(validator=min_len(1))
    weights: Mapping[str, float] = field(converter=_read_only)
    options: Mapping[str, Any] = field(factory=dict, converter=_read_only)

    @property
    def reads_features(self) -> bool:
        """Whether its scorer reads more than the trade window; keeping features costs time and memory."""
        return self.scorer != "seed"


_BUILT_IN: Final = (
    Preset(name="seed", version="1", scorer="seed", weights={"momentum": 0.40, "volume_flow": 0.35, "whale": 0.25}),
    Preset(name="seed-2", version="1", scorer="seed", weights={"momentum": 0.20, "volume_flow": 0.50, "whale": 0.30}),
    Preset(
        name="corrected",
        version="1",
        scorer="corrected",
        weights={"momentum": 0.40, "volume_flow": 0.35, "whale": 0.25},
    ),
    Preset(
        name="corrected-imbalance",
        version="1",
        scorer="corrected",
        weights={"momentum": 0.36, "volume_flow": 0.315, "whale": 0.225, "imbalance": 0.10},
    ),
)

PRESETS: Final[Mapping[str, Preset]] = MappingProxyType({preset.name: preset for preset in _BUILT_IN})
"""The built-in presets by name.

``seed`` and ``seed-2`` are the original formulas with the original and the ancestor's later weights. ``corrected``
is the one to trust. ``corrected-imbalance`` adds the book imbalance, whose sign was mostly wrong for outcomes.
"""


def choose_preset(scoring: ScoringSettings, plugins: Collection[str] = ()) -> Preset:
    """The preset that the settings name, with their own weights and options in place of its single entries.

    A plug-in scorer is its own preset, with nothing set. Raises ``PresetError`` for a name that is neither.
    """
    preset = PRESETS.get(scoring.preset)
    if preset is None and scoring.preset in plugins:
        preset = Preset(name=scoring.preset, version="plug-in", scorer=scoring.preset, weights={})
    if preset is None:
        known = ", ".join([*PRESETS, *sorted(plugins)])
        raise PresetError(f"unknown preset {scoring.preset!r} (known: {known})")
    return evolve(preset, weights={**preset.weights, **scoring.weights}, options={**preset.options, **scoring.options})
