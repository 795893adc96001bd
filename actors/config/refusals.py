"""What a built-in scorer refuses of the weights and options it is given, told of the very entries that are to blame.

A scorer judges all entries together. To find the culprits they are tried source by source, the weakest source first:
what a flag spoils is the flag's fault, not that of the file it covers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import Any

from actors.config.origins import KeyPath, Kind, Origin, nearest
from actors.config.structure import Complaint
from engine.errors import PresetError
from engine.presets import PRESETS, choose_preset
from engine.scoring import build_scorer
from engine.settings import ScoringSettings

_Entry = tuple[str, str]
"""Table and name."""


def refusals(scoring: Mapping[str, Any], origins: Mapping[KeyPath, Origin]) -> Iterator[Complaint]:
    """Complaints about single entries of a ``[scoring]`` table whose values have the right types, if it is refused.

    What a plug-in takes only the plug-in can say: it is asked when the engine opens.
    """
    preset = scoring.get("preset", ScoringSettings().preset)
    if preset not in PRESETS:
        return
    trial = _Trial(
        preset, {(table, name): it for table in ("weights", "options") for name, it in scoring.get(table, {}).items()}
    )
    if trial.refuses(trial.entries) is None:
        return

    def strength(entry: _Entry) -> int:
        return list(Kind).index(nearest(origins, ("scoring", *entry)).kind)

    accepted: list[_Entry] = []
    for _, layer in groupby(sorted(trial.entries, key=strength), key=strength):
        for entry, message in trial.admit(accepted, list(layer)):
            yield ("scoring", *entry), message


class _Trial:
    """Tries entries on a scorer."""

    def __init__(self, preset: str, entries: Mapping[_Entry, Any]) -> None:
        self.entries = entries
        self._preset = preset

    def refuses(self, entries: Collection[_Entry]) -> str | None:
        """Why the scorer refuses these, ``None`` if it takes them."""
        weights, options = (
            {name: self.entries[table, name] for table, name in entries if table == wanted}
            for wanted in ("weights", "options")
        )
        try:
            build_scorer(choose_preset(ScoringSettings(preset=self._preset, weights=weights, options=options)))
        except PresetError as error:
            return str(error)
        return None

    def admit(self, accepted: list[_Entry], layer: list[_Entry]) -> Iterator[tuple[_Entry, str]]:
        """Add what is right of a layer to ``accepted``, and tell the rest."""
        if self.refuses([*accepted, *layer]) is None:
            accepted += layer
            return
        # What is wrong by itself comes last: it may be right together with the rest.
        for entry in sorted(layer, key=lambda it: self.refuses([*accepted, it]) is not None):
            if (message := self.refuses([*accepted, entry])) is None:
                accepted.append(entry)
            else:
                yield entry, message
