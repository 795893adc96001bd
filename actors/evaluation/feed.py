"""The feed under the decisions: how often it failed, how much of the time it was live, how busy the windows were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import asdict

from actors.evaluation.conviction import distribution
from actors.evaluation.dataset import Dataset
from actors.evaluation.metrics import wilson
from engine.attendance import FeedFacts
from engine.decisions import Decision


def feed_report(dataset: Dataset, preset: str) -> dict[str, Any]:
    """Totals over all markets, by plain names; rates are ``None`` where there was nothing.

    An error is a session lost before the slot's end, a malformed message or a message lost on our side. Windows are
    those of one preset's decisions that the recordings reached, as all presets see the same feed.
    """
    totals = {name: sum(getattr(market.feed, name) for market in dataset.markets) for name in asdict(FeedFacts())}
    errors = totals["faults"] + totals["malformed"] + totals["dropped"]
    decisions = [
        decision
        for market in dataset.markets
        for decision in market.decisions
        if decision.reached and decision.preset.name == preset
    ]
    low, high = wilson(totals["sessions"], totals["attempts"])
    return {
        **totals,
        "errors": errors,
        "errors_per_session": _ratio(errors, totals["sessions"]),
        "faults_per_session": _ratio(totals["faults"], totals["sessions"]),
        "errors_per_live_second": _ratio(errors, totals["live_s"]),
        "live_share": _ratio(totals["live_s"], totals["followed_s"]),
        "connection_success": {"value": _ratio(totals["sessions"], totals["attempts"]), "low": low, "high": high},
        "markets_with_gaps": sum(_has_gap(market.decisions) for market in dataset.markets),
        "longest_silence_s": max((decision.silence_s for decision in decisions), default=None),
        "windows": len(decisions),
        "windows_without_trades": sum(not decision.trades for decision in decisions),
        "windows_fully_covered": sum(decision.coverage >= 1 for decision in decisions),
        "trades_per_window": asdict(distribution(np.array([decision.trades for decision in decisions], dtype=float))),
    }


def _has_gap(decisions: Sequence[Decision]) -> bool:
    return any(decision.gaps for decision in decisions if decision.reached)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
