"""One line of the report: one preset at one decision time, from panel to everything that is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from attrs import evolve, frozen

from actors.evaluation.baselines import Forecast, of_probability, of_sign
from actors.evaluation.conviction import conviction, distribution
from actors.evaluation.economics import ladder
from actors.evaluation.intervals import SEED, Blocks, blocks
from actors.evaluation.learned import Learned, learn
from actors.evaluation.metrics import accuracy, log_losses
from actors.evaluation.moves import PRIMARY_S, by_decile, information, mean_moves, present, signed_ticks
from actors.evaluation.panel import DAY_NS, SIGNALS, Array, Panel
from actors.evaluation.scorecard import Scorecard, gain, scorecard
from actors.evaluation.verdict import Evidence
from engine.decisions import HORIZONS_S

NEUTRAL: Final = 0.1
"""Up to this size a score is called neutral (signal-definitions 4.1)."""


@frozen(kw_only=True, eq=False)
class Line:
    """What was measured, as plain values by name, and the evidence to be judged."""

    measured: Mapping[str, Any]
    evidence: Evidence


def line(panel: Panel, price: Scorecard, latencies_s: Sequence[float], *, fee_rate: float, seed: int = SEED) -> Line:
    """Measure a preset; ``price`` is the scorecard of "price > ½" on the same markets."""
    of = blocks(panel.as_of_ns)
    learned = learn(panel, panel.score)
    cards = {forecast.name: scorecard(forecast, panel.up, panel.mid, of) for forecast in _forecasts(panel, learned)}
    losses = {name: log_losses(values, panel.up) for name, values in _probabilities(panel, learned).items()}
    moves = mean_moves(signed_ticks(panel, panel.score), of)
    excess = losses["score"] - losses["mid"]
    distance = np.abs(panel.ahead[:, HORIZONS_S.index(PRIMARY_S)] - panel.mid)
    opinionated = np.isfinite(panel.score)
    confidence, confidence_seed = (
        np.where(opinionated, values, np.nan) for values in (panel.confidence, panel.confidence_seed)
    )
    deciles = conviction(confidence, distance, excess)
    against_mid, against_level = (gain(losses["score"], losses[other], of) for other in ("mid", "level"))
    informations = [information([panel], name) for name in present([panel])]
    measured = {
        "preset": panel.stamp,
        "markets": len(panel),
        "days": panel.days,
        "present": {name: float(np.isfinite(panel.signals[name]).mean()) for name in SIGNALS},
        "mean_coverage": float(panel.coverage.mean()),
        "mean_trades": float(panel.trades.mean()),
        "score": cards["score"],
        "score_beyond_neutral": accuracy(np.where(np.abs(panel.score) > NEUTRAL, panel.score, 0.0), panel.up),
        "probabilities": {name: cards[name] for name in ("p_hat", "learned_level", "learned_score")},
        "skill": {
            "against_mid": against_mid,
            "against_level": against_level,
            "tested": int(learned.tested.sum()),
            "folds": learned.folds,
            "fold": learned.by,
        },
        "gaps": _by_gaps(panel, losses, of),
        "latency": _latency(panel, learned, latencies_s, of, fee_rate),
        "moves": {"all": moves, "deciles": by_decile(panel, panel.score, of)},
        "information": informations,
        "confidence": {"distribution": distribution(confidence), "deciles": deciles},
        "confidence_seed": {
            "distribution": distribution(confidence_seed),
            "deciles": conviction(confidence_seed, distance, excess),
        },
        "leaks": _leaks(panel, losses["mid"], of, seed),
    }
    evidence = Evidence(
        minute=panel.at_s / 60,
        duration_s=panel.duration_s,
        markets=len(panel),
        days=panel.days,
        tested=int(learned.tested.sum()),
        tested_days=len(np.unique(panel.as_of_ns[learned.tested] // DAY_NS)),
        score=cards["score"].accuracy,
        price=price.accuracy,
        against_mid=against_mid,
        against_level=against_level,
        move=moves[HORIZONS_S.index(PRIMARY_S)],
        informations=informations,
        monotone=deciles.monotone,
    )
    return Line(measured=measured, evidence=evidence)


def _forecasts(panel: Panel, learned: Learned) -> list[Forecast]:
    return [
        of_sign("score", "sign of the score", panel.score),
        of_probability("p_hat", "p̂ (the mid: nothing is added to it yet)", panel.mid),
        of_probability("learned_level", "the mid recalibrated, walk-forward", learned.level),
        of_probability("learned_score", "the mid corrected by the score, walk-forward", learned.score),
    ]


def _probabilities(panel: Panel, learned: Learned) -> dict[str, Array]:
    return {"mid": panel.mid, "level": learned.level, "score": learned.score}


def _by_gaps(panel: Panel, losses: Mapping[str, Array], of: Blocks) -> dict[str, Any]:
    """The same for the markets without and with silences over 5 s before the decision."""
    told = {}
    for name, rows in (("without", panel.gaps == 0), ("with", panel.gaps > 0)):
        told[name] = {
            "markets": int(rows.sum()),
            "accuracy": accuracy(np.where(rows, panel.score, 0.0)[rows], panel.up[rows]),
            "mid_accuracy": accuracy(np.sign(panel.mid - 0.5)[rows], panel.up[rows]),
            "against_mid": gain(np.where(rows, losses["score"], np.nan), losses["mid"], of),
        }
    return told


def _latency(
    panel: Panel, learned: Learned, latencies_s: Sequence[float], of: Blocks, fee_rate: float
) -> list[dict[str, Any]]:
    """Rungs of the score's direction, each with the Δlog-loss against the mid of that later instant."""
    own = log_losses(learned.score, panel.up)
    later = (panel.bids + panel.asks) / 2
    rungs = ladder(panel, np.sign(panel.score), latencies_s, of, rate=fee_rate)
    return [
        {"rung": rung, "delta_log_loss": gain(own, log_losses(later[:, index], panel.up), of)}
        for index, rung in enumerate(rungs)
    ]


def _leaks(panel: Panel, mid_losses: Array, of: Blocks, seed: int) -> dict[str, Any]:
    """The skill of the score of half a minute before, and what is left when outcomes are dealt out at random.

    With random outcomes the score is compared with the mid recalibrated, for the mid itself is then worth nothing.
    """
    delayed = learn(panel, panel.delayed)
    dealt = evolve(panel, up=np.random.default_rng(seed).permutation(panel.up))
    shuffled = learn(dealt, dealt.score)
    return {
        "delayed": gain(log_losses(delayed.score, panel.up), mid_losses, of),
        "shuffled": gain(log_losses(shuffled.score, dealt.up), log_losses(shuffled.level, dealt.up), of),
    }
