"""One score out of several sides: what the markets say and what comes from elsewhere.

These rules are this project's own. The fused score is the mean of the sides weighted by weight × confidence. The fused
confidence is the mean of the sides' confidences weighted by weight, times 0.7 when one of the two sides (markets,
outside) is missing, times 0.5 when the two sides disagree, that is when they lie beyond ±0.1 on opposite sides of zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from engine.signals import OutsideScore

MISSING_SIDE_FACTOR: Final = 0.7
DISAGREEMENT_FACTOR: Final = 0.5
DIRECTION_THRESHOLD: Final = 0.1


@frozen(kw_only=True)
class Opinion:
    """A score −1..+1 held with a confidence and a weight, both at least 0."""

    score: float
    confidence: float
    weight: float = 1.0


@frozen(kw_only=True)
class Fusion:
    """A fused score (``None`` when no side said anything), its confidence 0..1 and why it was reduced."""

    score: float | None
    confidence: float
    missing_side: bool
    disagreement: bool


def weighted_score(opinions: Sequence[Opinion]) -> float | None:
    """Mean score weighted by weight × confidence; ``None`` when nobody carries any weight."""
    total = sum(opinion.weight * opinion.confidence for opinion in opinions)
    if total <= 0.0:
        return None
    mean = sum(opinion.weight * opinion.confidence * opinion.score for opinion in opinions) / total
    return min(1.0, max(-1.0, mean))


def weighted_confidence(opinions: Sequence[Opinion]) -> float:
    """Mean confidence weighted by weight alone; 0 when nobody carries any weight."""
    total = sum(opinion.weight for opinion in opinions)
    return min(1.0, sum(opinion.weight * opinion.confidence for opinion in opinions) / total) if total > 0.0 else 0.0


def agreement(opinions: Sequence[Opinion]) -> float | None:
    """``|Σ w·s| / Σ w·|s|`` over the scores, 0..1; 1 when all point one way, ``None`` when none points anywhere."""
    pulls = [opinion.weight * opinion.confidence * opinion.score for opinion in opinions]
    strength = sum(map(abs, pulls))
    return min(1.0, abs(sum(pulls)) / strength) if strength > 0.0 else None


def fuse(market: Opinion | None, outside: Sequence[OutsideScore]) -> Fusion:
    """Fuse the markets' opinion (``None``: no market has one) with outside scores (empty: that side is missing)."""
    others = [Opinion(score=it.score, confidence=it.confidence, weight=it.weight) for it in outside]
    sides = [*([] if market is None else [market]), *others]
    outside_score = weighted_score(others)
    disagree = market is not None and outside_score is not None and _opposite(market.score, outside_score)
    missing = market is None or not others
    factor = (MISSING_SIDE_FACTOR if missing else 1.0) * (DISAGREEMENT_FACTOR if disagree else 1.0)
    return Fusion(
        score=weighted_score(sides),
        confidence=weighted_confidence(sides) * factor,
        missing_side=missing,
        disagreement=disagree,
    )


def _opposite(one: float, other: float) -> bool:
    return min(one, other) < -DIRECTION_THRESHOLD and max(one, other) > DIRECTION_THRESHOLD
