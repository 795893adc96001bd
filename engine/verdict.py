"""The verdict on a score as a table (signal-definitions 4.1).

``MARKET_UNAVAILABLE`` and ``MARKET_CLOSED`` follow from the state of feed and market, not from a score, and are decided
before this table is read.
"""

from __future__ import annotations

from typing import Final

from engine.signals import SignalType

NEUTRAL_BAND: Final = 0.1
"""Scores and components point somewhere only strictly beyond this."""

STRONG_CONFIDENCE: Final = 0.7
WEAK_CONFIDENCE: Final = 0.5

LIQUID_TRADES: Final = 10
"""Below this many trades the verdict says so."""


_LIQUIDITIES: Final = {True: "", False: "LOW_LIQUIDITY_"}
_DIRECTIONS: Final = {+1: "BULLISH", -1: "BEARISH", 0: "NEUTRAL"}

_VERDICTS: Final = {
    (liquid, strength, sign): SignalType(f"{prefix}{strength}_{direction}")
    for liquid, prefix in _LIQUIDITIES.items()
    for strength in ("STRONG", "WEAK", "CONFLICTED")
    for sign, direction in _DIRECTIONS.items()
}


def classify(score: float, confidence: float, trades: int, momentum: float | None, flow: float | None) -> SignalType:
    """``[LOW_LIQUIDITY_]`` + strength + direction of a score −1..+1 with its confidence 0..1.

    ``trades`` counts the window's trades of both tokens. A component that is absent (``None``) never conflicts.
    """
    return _VERDICTS[trades >= LIQUID_TRADES, _strength(confidence, momentum, flow), _sign(score)]


def _strength(confidence: float, momentum: float | None, flow: float | None) -> str:
    if confidence >= STRONG_CONFIDENCE:
        return "STRONG"
    if confidence < WEAK_CONFIDENCE and momentum is not None and flow is not None:
        return "CONFLICTED" if _sign(momentum) * _sign(flow) < 0 else "WEAK"
    return "WEAK"


def _sign(value: float) -> int:
    return (value > NEUTRAL_BAND) - (value < -NEUTRAL_BAND)
