"""One score out of several sides: what the markets say and what comes from elsewhere.

These rules are this project's own. The fused score is the mean of the sides weighted by weight × confidence. The fused
confidence is the mean of the sides' confidences weighted by weight, times 0.7 when one of the two sides (markets,
outside) is missing or any expected outside score is, times 0.5 when the two sides disagree, that is when they lie
beyond ±0.1 on opposite sides of zero.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
    return _mean([(opinion.weight * opinion.confidence, opinion.score) for opinion in opinions])


def weighted_confidence(opinions: Sequence[Opinion]) -> float:
    """Mean confidence weighted by weight alone; 0 when nobody carries any weight."""
    return _mean([(opinion.weight, opinion.confidence) for opinion in opinions]) or 0.0


def agreement(opinions: Sequence[Opinion]) -> float | None:
    """``|Σ w·s| / Σ w·|s|`` over the scores, 0..1; 1 when all point one way, ``None`` when none points anywhere."""
    pulls = [opinion.weight * opinion.confidence * opinion.score for opinion in opinions]
    strength = sum(map(abs, pulls))
    return min(1.0, abs(sum(pulls)) / strength) if strength > 0.0 else None


def fuse(market: Opinion | None, outside: Sequence[OutsideScore], expected: Collection[str] = ()) -> Fusion:
    """Fuse the markets' opinion (``None``: no market has one) with outside scores (empty: that side is missing).

    ``expected`` names the outside scores without any of which that side is missing, too.
    """
    others = [Opinion(score=it.score, confidence=it.confidence, weight=it.weight) for it in outside]
    sides = [*([] if market is None else [market]), *others]
    outside_score = weighted_score(others)
    disagree = market is not None and outside_score is not None and _opposite(market.score, outside_score)
    missing = market is None or not others or not {it.name for it in outside}.issuperset(expected)
    factor = (MISSING_SIDE_FACTOR if missing else 1.0) * (DISAGREEMENT_FACTOR if disagree else 1.0)
    return Fusion(
        score=weighted_score(sides),
        confidence=weighted_confidence(sides) * factor,
        missing_side=missing,
        disagreement=disagree,
    )


def _mean(weighted: Sequence[tuple[float, float]]) -> float | None:
    total = sum(weight for weight, _ in weighted)
    if total <= 0.0:
        return None
    values = [value for weight, value in weighted if weight > 0.0]
    mean = sum(weight * value for weight, value in weighted) / total
    # Rounding must not carry a mean beyond what it is the mean of: 0.8 × 0.1 / 0.8 is above 0.1.
    return min(max(values), max(min(values), mean))


def _opposite(one: float, other: float) -> bool:
    return min(one, other) < -DIRECTION_THRESHOLD and max(one, other) > DIRECTION_THRESHOLD
