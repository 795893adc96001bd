"""How much a score can be trusted, 0..1, by the original rule and by the corrected one.

Every argument is clamped to its range and NaN counts as nothing known, so the result is finite and in range whatever
comes in.
"""

from __future__ import annotations

from typing import Final

FULL_TRADES: Final = 50
"""Trades from which the original rule is satisfied."""

FEW_TRADES: Final = 10
"""Below this many trades the original rule halves the confidence."""

STALE_AGE_S: Final = 30.0
"""Age of the last application event at which freshness has run out, in seconds."""

HALF_ORDERS: Final = 20.0
"""Taker orders at which the factor for their number is one half."""

WIDE_SPREAD: Final = 0.10
"""Spread, in USDC per share, from which nothing is known of the price."""


def seed_confidence(trades: int, coverage: float) -> float:
    """``min(n/50, 1) × coverage``, halved below 10 trades (signal-definitions part 1).

    ``trades`` counts both tokens; ``coverage`` is the covered share of the configured window, 0..1. The rule jumps from
    0.09 to 0.20 between 9 and 10 trades and is constant from 50 on.
    """
    confidence = min(max(trades, 0) / FULL_TRADES, 1.0) * _share(coverage)
    return confidence * 0.5 if trades < FEW_TRADES else confidence


def corrected_confidence(*, coverage: float, age_s: float | None, orders: int, spread: float | None) -> float:
    """``coverage × freshness × n/(n + 20) × (1 − spread/0.10)`` (signal-definitions 2.10).

    ``coverage`` is 0..1, ``age_s`` the seconds since the last application event, ``orders`` the distinct taker orders
    of the window, ``spread`` ask − bid in USDC per share. An unknown age or spread makes it 0. It is continuous and
    monotone in every argument.
    """
    if age_s is None or spread is None:
        return 0.0
    number = max(orders, 0)
    return (
        _share(coverage)
        * _share(1.0 - age_s / STALE_AGE_S)
        * (number / (number + HALF_ORDERS))
        * _share(1.0 - spread / WIDE_SPREAD)
    )


def _share(value: float) -> float:
    # NaN compares with nothing and becomes 0, as does -0.0.
    if 0.0 < value <= 1.0:
        return value
    return 1.0 if value > 1.0 else 0.0
