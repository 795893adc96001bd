"""Panels: the markets of one series at one decision time under one preset, as columns of numbers.

One row is one market, oldest first, so that no two rows share an outcome. NaN is absent. Prices are Up's, in USDC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from actors.evaluation.dataset import Dataset
from engine.decisions import Decision, Top
from engine.markets import Outcome
from engine.units import NS_PER_S, to_seconds

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

OTHER_SERIES: Final = "other"
DAY_NS: Final = 86_400 * NS_PER_S
_NEVER: Final = 2**63 - 1

SIGNALS: Final = ("score", "momentum", "volume_flow", "whale", "imbalance")
"""What of a preset is looked at for information: the score and its parts."""

PanelKey = tuple[str, float]
"""Series and decision time in seconds."""


@frozen(kw_only=True, eq=False)
class Panel:
    """``n`` labelled markets; see ``Decision`` for the columns.

    ``up`` is 1.0 where Up won, else 0.0. ``ahead`` is (n, horizons), ``asks`` to ``bid_shares`` are (n, latencies).
    ``duration_s`` is the slot's length, NaN when unknown.
    """

    series: str
    at_s: float
    preset: str
    stamp: Mapping[str, str]
    duration_s: float
    keys: tuple[str, ...]
    up: Array
    start_ns: Whole
    as_of_ns: Whole
    end_ns: Whole
    signals: Mapping[str, Array]
    delayed: Array
    confidence: Array
    confidence_seed: Array
    mid: Array
    price: Array
    fair: Array
    last_trade: Array
    mid_move: Array
    spread: Array
    coverage: Array
    trades: Array
    gaps: Array
    ahead: Array
    bids: Array
    asks: Array
    bid_shares: Array
    ask_shares: Array

    @property
    def score(self) -> Array:
        """The score, NaN where there was nothing to score."""
        return self.signals["score"]

    @property
    def days(self) -> int:
        """On how many UTC days there are decisions."""
        return len(np.unique(self.as_of_ns // DAY_NS))

    def __len__(self) -> int:
        return len(self.keys)


def panels(dataset: Dataset, preset: str) -> dict[PanelKey, Panel]:
    """The panels of a preset by series and decision time: labelled markets whose recording reached the decision."""
    grouped: defaultdict[PanelKey, list[tuple[Decision, Outcome]]] = defaultdict(list)
    for market in dataset.markets:
        if market.label.outcome is None:
            continue
        for decision in market.decisions:
            if decision.preset.name == preset and decision.reached:
                grouped[decision.series or OTHER_SERIES, decision.at_s].append((decision, market.label.outcome))
    return {key: panel_of(*key, preset, grouped[key]) for key in sorted(grouped)}


def panel_of(series: str, at_s: float, preset: str, rows: Sequence[tuple[Decision, Outcome]]) -> Panel:
    """The panel of some decisions, at least one, with their outcomes."""
    ordered = sorted(rows, key=lambda row: (row[0].as_of_ns, row[0].target))
    decisions = [decision for decision, _ in ordered]
    stamp, end_ns = decisions[-1].preset, decisions[-1].end_ns
    plain: dict[str, Any] = {
        name: _column(getattr(decision, name) for decision in decisions)
        for name in (
            *("delayed", "confidence", "confidence_seed", "mid", "price", "fair", "last_trade", "mid_move", "spread"),
            *("coverage", "trades", "gaps"),
        )
    }
    return Panel(
        series=series,
        at_s=at_s,
        preset=preset,
        stamp={"name": stamp.name, "version": stamp.version, "config_hash": stamp.config_hash},
        duration_s=float("nan") if end_ns is None else to_seconds(end_ns - decisions[-1].start_ns),
        keys=tuple(decision.target for decision in decisions),
        up=np.array([outcome is Outcome.UP for _, outcome in ordered], dtype=np.float64),
        start_ns=_instants(decision.start_ns for decision in decisions),
        as_of_ns=_instants(decision.as_of_ns for decision in decisions),
        end_ns=_instants(_NEVER if decision.end_ns is None else decision.end_ns for decision in decisions),
        signals={
            "score": _column(decision.opinion for decision in decisions),
            **{name: _column(getattr(decision.components, name) for decision in decisions) for name in SIGNALS[1:]},
        },
        ahead=_table([decision.after.values for decision in decisions]),
        bids=_tops(decisions, lambda top: top.bid),
        asks=_tops(decisions, lambda top: top.ask),
        bid_shares=_tops(decisions, lambda top: top.bid_shares),
        ask_shares=_tops(decisions, lambda top: top.ask_shares),
        **plain,
    )


def _instants(values: Iterable[int]) -> Whole:
    return np.fromiter(values, dtype=np.int64)


def _column(values: Iterable[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _table(rows: Sequence[Sequence[float | None]]) -> Array:
    return np.array([[np.nan if value is None else value for value in row] for row in rows], dtype=np.float64)


def _tops(decisions: Sequence[Decision], read: Callable[[Top], float | None]) -> Array:
    return _table([[None if top is None else read(top) for top in decision.after.tops] for decision in decisions])
