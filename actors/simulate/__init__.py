"""Made-up markets whose truth is known, for asking what a score is worth where nothing, or little, can be known.

The price of every market is the fair one and known to all; takers are noise, but for the share ``rho`` of them who know
the fair price half a minute ahead. Whoever reports skill on ``rho = 0`` reports an artefact; whoever finds nothing with
``rho`` above 0 and enough markets has a broken feature.

Needs numpy and scipy, which ``updown[evaluate]`` brings; the names below are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from actors.simulate.design import Design, Habit
from actors.simulate.extra import MissingExtra, require_extra

if TYPE_CHECKING:
    from actors.simulate.features import FeatureTable, feature_tables
    from actors.simulate.markets import Batch, SimulatedMarket, batches, market_number, simulate
    from actors.simulate.measures import (
        Accuracy,
        Move,
        accuracies,
        accuracy,
        arcsine,
        log_loss,
        mean_signed_move,
        moves,
    )
    from actors.simulate.wire import SimulatedLabel, label_of, wire_records

__all__ = [
    "Accuracy",
    "Batch",
    "Design",
    "FeatureTable",
    "Habit",
    "MissingExtra",
    "Move",
    "SimulatedLabel",
    "SimulatedMarket",
    "accuracies",
    "accuracy",
    "arcsine",
    "batches",
    "feature_tables",
    "label_of",
    "log_loss",
    "market_number",
    "mean_signed_move",
    "moves",
    "simulate",
    "wire_records",
]

_HOMES = {
    "FeatureTable": "features",
    "feature_tables": "features",
    "Batch": "markets",
    "SimulatedMarket": "markets",
    "batches": "markets",
    "market_number": "markets",
    "simulate": "markets",
    "Accuracy": "measures",
    "Move": "measures",
    "accuracies": "measures",
    "accuracy": "measures",
    "arcsine": "measures",
    "log_loss": "measures",
    "mean_signed_move": "measures",
    "moves": "measures",
    "SimulatedLabel": "wire",
    "label_of": "wire",
    "wire_records": "wire",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_extra()
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
