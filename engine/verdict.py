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


def classify(score: float, confidence: float, trades: int, momentum: float | None, flow: float | None) -> SignalType:
    """``[LOW_LIQUIDITY_]`` + strength + direction of a score −1..+1 with its confidence 0..1.

    ``trades`` counts the window's trades of both tokens. A component that is absent (``None``) never conflicts.
    """
    prefix = "LOW_LIQUIDITY_" if trades < LIQUID_TRADES else ""
    return SignalType(f"{prefix}{_strength(confidence, momentum, flow)}_{_direction(score)}")


def _direction(score: float) -> str:
    rows = ((score > NEUTRAL_BAND, "BULLISH"), (score < -NEUTRAL_BAND, "BEARISH"))
    return next((word for holds, word in rows if holds), "NEUTRAL")


def _strength(confidence: float, momentum: float | None, flow: float | None) -> str:
    rows = (
        (confidence >= STRONG_CONFIDENCE, "STRONG"),
        (confidence < WEAK_CONFIDENCE and _sign(momentum) * _sign(flow) < 0, "CONFLICTED"),
    )
    return next((word for holds, word in rows if holds), "WEAK")


def _sign(component: float | None) -> int:
    value = 0.0 if component is None else component
    return (value > NEUTRAL_BAND) - (value < -NEUTRAL_BAND)
