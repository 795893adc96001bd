"""Made-up markets that everybody knows the fair price of, as datasets: with scores that know nothing, or a little.

The spot is a Brownian path from 0, Up wins if it ends at 0 or above, and the mid is Up's chance given the path so far.
A score is noise of which the share ``knowledge`` is replaced by the direction of the next half minute.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import evolve
from scipy.special import ndtr

from actors.evaluation.dataset import Dataset, Label, MarketStudy, Plan
from actors.evaluation.panel import Panel, panel_of
from engine.attendance import FeedFacts
from engine.decisions import HORIZONS_S, Aftermath, Decision, Top
from engine.markets import Outcome
from engine.settings import ScoringSettings
from engine.signals import Components, PresetStamp, SignalType
from engine.units import NS_PER_S
from tests.engine.study_bench import decision

DURATION_S = 900
START_S = 1_788_998_400  # midnight UTC
LATENCIES_S = (0.0, 1.0)


def paths(markets: int, rng: np.random.Generator) -> np.ndarray:
    """(markets, DURATION_S + 1) positions of the spot at each second, in standard deviations of one second's step."""
    steps = rng.standard_normal((markets, DURATION_S))
    return np.concatenate([np.zeros((markets, 1)), np.cumsum(steps, axis=1)], axis=1)


def fair(path: np.ndarray, at_s: int) -> np.ndarray:
    """Up's chance at a second of each path."""
    if at_s >= DURATION_S:
        return (path[:, -1] >= 0).astype(float)
    return np.asarray(ndtr(path[:, at_s] / np.sqrt(DURATION_S - at_s)))


def dataset(
    markets: int = 200,
    *,
    at_s: Sequence[int] = (480,),
    knowledge: float = 0.0,
    seed: int = 0,
    presets: Sequence[str] = ("seed", "corrected"),
) -> Dataset:
    """Markets one after the other; the first preset knows, the others know nothing."""
    rng = np.random.default_rng(seed)
    path = paths(markets, rng)
    made: list[list[Decision]] = [[] for _ in range(markets)]
    for at in at_s:
        mids = fair(path, at)
        later = [fair(path, at + int(ahead)) if at + ahead <= DURATION_S else None for ahead in HORIZONS_S]
        future = np.sign(path[:, min(at + 30, DURATION_S)] - path[:, at])
        for preset in presets:
            knows = (rng.random(markets) < knowledge) & (preset == presets[0])
            scores = np.where(knows, future * 0.3, np.clip(0.3 * rng.standard_normal(markets), -1, 1))
            confidence = rng.random(markets)
            for row in range(markets):
                values = tuple(None if each is None else float(each[row]) for each in later)
                made[row].append(
                    _decision(row, at, preset, float(mids[row]), float(scores[row]), float(confidence[row]), values)
                )
    studies = [
        MarketStudy(
            key=decisions[0].target,
            label=Label.of(Outcome.UP if path[row, -1] >= 0 else Outcome.DOWN),
            decisions=tuple(decisions),
            feed=FeedFacts(followed_s=900, live_s=900, attempts=1, sessions=1, messages=100),
            tokens=2,
        )
        for row, decisions in enumerate(made)
    ]
    variants = tuple(ScoringSettings(preset=name) for name in presets)
    return Dataset(plan=Plan(variants=variants, latencies_s=LATENCIES_S), markets=tuple(studies))


def _decision(
    row: int, at_s: int, preset: str, mid: float, score: float, confidence: float, values: tuple[float | None, ...]
) -> Decision:
    start_s = START_S + row * DURATION_S
    top = Top(bid=mid - 0.005, ask=mid + 0.005, bid_shares=100.0, ask_shares=100.0)
    return evolve(
        decision(),
        target=f"btc-updown-15m-{start_s}",
        series="btc-15m",
        start_ns=start_s * NS_PER_S,
        end_ns=(start_s + DURATION_S) * NS_PER_S,
        at_s=float(at_s),
        as_of_ns=(start_s + at_s) * NS_PER_S,
        preset=PresetStamp(name=preset, version="1", config_hash=preset),
        score=score,
        signal_type=SignalType.WEAK_BULLISH,
        confidence=confidence,
        confidence_seed=confidence,
        components=Components(volume_flow=score),
        mid=mid,
        price=mid,
        fair=mid,
        last_trade=mid,
        mid_before=0.5,
        delayed=score,
        after=Aftermath(tops=(top,) * len(LATENCIES_S), values=values),
    )


def panel(markets: int = 200, **options: object) -> Panel:
    """The panel of the first preset at the first decision time."""
    made = dataset(markets, **options)  # type: ignore[arg-type]
    first = made.markets[0].decisions[0]
    rows = [
        (each, market.label.outcome)
        for market in made.markets
        for each in market.decisions
        if market.label.outcome is not None and (each.at_s, each.preset) == (first.at_s, first.preset)
    ]
    return panel_of("btc-15m", first.at_s, first.preset.name, rows)
