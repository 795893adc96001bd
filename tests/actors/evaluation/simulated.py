"""Simulated markets as a dataset, by their feature streams: what a study of their tapes would say, but faster.

What a feature stream does not know is left out (imbalance, gaps) or plain (confidence: the share of fifty trades).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve

from actors.evaluation.dataset import Dataset, Label, MarketStudy, Plan
from actors.simulate import Batch, Design, FeatureTable, batches
from actors.simulate.features import features, mid_before
from engine.attendance import FeedFacts
from engine.decisions import DELAY_S, HORIZONS_S, Aftermath, Decision, Top
from engine.markets import Outcome
from engine.settings import ScoringSettings
from engine.signals import Components, PresetStamp, SignalType
from engine.units import NS_PER_S, PRICE_SCALE
from tests.engine.study_bench import decision

QUARTERS = (120, 300, 480, 660, 840)
PRESETS = ("seed", "corrected")
COLUMNS = {
    "seed": ("seed_score", "seed_momentum", "seed_flow", "seed_whale"),
    "corrected": ("score", "momentum", "flow", "whale"),
}
TEMPLATE = decision()


def dataset(design: Design, markets: int, at_s: Sequence[int] = QUARTERS) -> Dataset:
    """Markets of a design under both presets, one latency of 0 s."""
    studies: list[MarketStudy] = []
    for batch in batches(design, markets):
        studies += _studies(batch, at_s, first=len(studies))
    variants = tuple(ScoringSettings(preset=name) for name in PRESETS)
    return Dataset(plan=Plan(variants=variants, latencies_s=(0.0,)), markets=tuple(studies))


def _studies(batch: Batch, at_s: Sequence[int], *, first: int) -> list[MarketStudy]:
    rows = range(len(batch.up_won))
    made: list[list[Decision]] = [[] for _ in rows]
    for at in at_s:
        now, before = (features(batch, end_s, ahead_s=0.0) for end_s in (at, at - DELAY_S))
        ahead = [mid_before(batch, at + later) if at + later <= batch.design.seconds else None for later in HORIZONS_S]
        for row in rows:
            values = tuple(None if each is None else float(each[row]) for each in ahead)
            made[row] += [_decision(batch.design, first + row, row, at, name, now, before, values) for name in PRESETS]
    return [
        MarketStudy(
            key=decisions[0].target,
            label=Label.of(Outcome.UP if batch.up_won[row] else Outcome.DOWN),
            decisions=tuple(decisions),
            feed=FeedFacts(followed_s=900, live_s=900, attempts=1, sessions=1, messages=1),
            tokens=2,
        )
        for row, decisions in enumerate(made)
    ]


def _decision(
    design: Design,
    number: int,
    row: int,
    at: int,
    preset: str,
    now: FeatureTable,
    before: FeatureTable,
    values: tuple[float | None, ...],
) -> Decision:
    start_s = design.starts_s + number * design.seconds
    score, *parts = (_known(getattr(now, name)[row]) for name in COLUMNS[preset])
    mid, half = float(now.mid[row]), design.spread_steps * design.tick / PRICE_SCALE / 2
    return evolve(
        TEMPLATE,
        target=f"{design.series.replace('-', '-updown-')}-{start_s}",
        series=design.series,
        start_ns=start_s * NS_PER_S,
        end_ns=(start_s + design.seconds) * NS_PER_S,
        at_s=float(at),
        as_of_ns=(start_s + at) * NS_PER_S,
        preset=PresetStamp(name=preset, version="1", config_hash=preset),
        score=score or 0.0,
        signal_type=SignalType.WEAK_NEUTRAL,
        confidence=min(1.0, int(now.trades[row]) / 50),
        confidence_seed=min(1.0, int(now.trades[row]) / 50),
        components=Components(momentum=parts[0], volume_flow=parts[1], whale=parts[2]),
        trades=int(now.trades[row]),
        mid=mid,
        price=mid,
        fair=mid,
        last_trade=mid,
        mid_before=0.5,
        delayed=_known(getattr(before, COLUMNS[preset][0])[row]),
        after=Aftermath(tops=(Top(bid=mid - half, ask=mid + half, bid_shares=500.0, ask_shares=500.0),), values=values),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
