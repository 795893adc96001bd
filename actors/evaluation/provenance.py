"""Provenance: what a report rests on, that is, the markets it saw and what was fixed before it saw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from actors.evaluation.dataset import Dataset
from actors.evaluation.intervals import DRAWS
from actors.evaluation.learned import EMBARGO, PENALTY
from actors.evaluation.line import NEUTRAL
from actors.evaluation.metrics import BINS, CLIP, CONFIDENCE
from actors.evaluation.moves import PRIMARY_S, TICK_USD
from actors.evaluation.panel import SIGNALS
from actors.evaluation.verdict import DAYS_NEEDED, FAMILY, MARKETS_NEEDED, RELEVANT
from engine.decisions import DELAY_S, HORIZONS_S, Decision
from engine.presets import PRESETS
from engine.settings import ScoringSettings
from engine.units import NS_PER_S

NOTES: Final = (
    (
        "A score is not a probability: it has a direction (accuracy) and ranks markets (area under the curve). Brier, "
        "log-loss and calibration apply to probabilities alone: mid, price, micro-price, last trade, majority, coin, "
        "and what is learned from the score."
    ),
    (
        "p̂ of every preset is the mid, with nothing added until there is evidence; its difference from the mid is 0 by "
        "construction. The skill of a score is that of a logistic regression that may correct the mid by it, learned "
        "from earlier markets only."
    ),
    "Differences are loss minus the mid's loss at the same instant: below 0 is better than the mid.",
    "An accuracy above 55 % is trivial: the price alone passes it 22 seconds into a 15-minute market.",
    "No Gaussian model of the spot price is among the baselines: the tapes hold no spot prices.",
)


def protocol(dataset: Dataset, *, tests: int, fee_rate: float, seed: int) -> dict[str, Any]:
    """What was fixed beforehand; ``configurations`` is how many questions the report asks at once."""
    plan = dataset.plan
    return {
        "unit": "one market, one decision time per line",
        "presets": [scoring.preset for scoring in plan.variants],
        "windows_s": [scoring.window_s for scoring in plan.variants],
        "at_s": plan.at_s,
        "latencies_s": plan.latencies_s,
        "horizons_s": HORIZONS_S,
        "primary_horizon_s": PRIMARY_S,
        "delay_s": DELAY_S,
        "tick_usd": TICK_USD,
        "fee_rate": fee_rate,
        "clip": CLIP,
        "bins": BINS,
        "neutral": NEUTRAL,
        "confidence": CONFIDENCE,
        "bootstrap_draws": DRAWS,
        "seed": seed,
        "ridge_penalty": PENALTY,
        "embargo_markets": EMBARGO,
        "configurations": tests,
        "family_error": FAMILY,
        "markets_needed": MARKETS_NEEDED,
        "days_needed": DAYS_NEEDED,
        "relevant_gain": RELEVANT,
        "notes": NOTES,
    }


def data(dataset: Dataset) -> dict[str, Any]:
    """Which markets there were, which were left out and why, and what their tapes do not hold."""
    decisions = [decision for market in dataset.markets for decision in market.decisions]
    starts = [decision.start_ns for decision in decisions]
    absent = {
        scoring.preset: _absent(scoring, [each for each in decisions if each.preset.name == scoring.preset])
        for scoring in dataset.plan.variants
    }
    return {
        "markets": len(dataset.markets),
        "labelled": sum(market.label.outcome is not None for market in dataset.markets),
        "excluded": dict(dataset.excluded),
        "decisions": len(decisions),
        "not_recorded": sum(not decision.reached for decision in decisions),
        "one_token": sum(market.tokens == 1 for market in dataset.markets),
        "trades_seen": any(decision.trades for decision in decisions),
        "first": _time(min(starts)) if starts else None,
        "last": _time(max(starts)) if starts else None,
        "absent_components": absent,
        "problems": dataset.problems,
        "notes": _notes(dataset, decisions, absent),
    }


def _absent(scoring: ScoringSettings, decisions: Sequence[Decision]) -> list[str]:
    """The components that no market had, of those that the preset takes; of a plug-in all might be."""
    preset = PRESETS.get(scoring.preset)
    taken = SIGNALS[1:] if preset is None else {*preset.weights, *scoring.weights}
    return [
        name
        for name in SIGNALS[1:]
        if name in taken and all(getattr(decision.components, name) is None for decision in decisions)
    ]


def _notes(dataset: Dataset, decisions: Sequence[Decision], absent: Mapping[str, Sequence[str]]) -> list[str]:
    rows = [
        (
            bool(decisions) and not any(decision.trades for decision in decisions),
            "These tapes hold no trades: whatever is made of trades is absent, not zero.",
        ),
        *(
            (bool(decisions and parts), f"Preset {name}: {', '.join(parts)} absent throughout.")
            for name, parts in absent.items()
        ),
        (
            any(market.tokens == 1 for market in dataset.markets),
            "Some tapes know only one of the two tokens; the book of the other is its mirror.",
        ),
        (
            bool(dataset.excluded),
            "Markets without an official outcome are left out of everything but the feed.",
        ),
    ]
    return [note for holds, note in rows if holds]


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).isoformat()
