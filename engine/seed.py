"""The original formulas, kept exactly for continuity (signal-definitions part 1).

Prices are integer ticks and sizes integer micro-shares, so nothing is rounded before the one division at the end; the
result is then the float nearest to the true quotient. ``.50 → .45`` is exactly −1 here, where float prices give
−0.9999999999999998. Every function returns 0.0 when it has nothing to go by; who needs to tell that from a true zero
looks at the inputs.
"""

from __future__ import annotations

from typing import Final

FULL_SCALE: Final = 10
"""A relative move of one tenth is a momentum of 1."""


def momentum(first: int | None, last: int | None) -> float:
    """``clamp(10·(last − first)/first, −1, +1)`` of the window's first and last Up price in ticks (0 < p)."""
    if first is None or last is None:
        return 0.0
    relative = FULL_SCALE * (last - first) / first
    return 1.0 if relative > 1 else -1.0 if relative < -1 else relative


def flow(up_units: int, down_units: int) -> float:
    """``(V_yes − V_no)/(V_yes + V_no)`` of the traded micro-shares by token, whoever was the taker; −1..+1."""
    return _balance(up_units, down_units)


def whale(up_whales: int, down_whales: int) -> float:
    """``(n_yes − n_no)/(n_yes + n_no)`` of the trades above 1,000 shares by token; −1..+1."""
    return _balance(up_whales, down_whales)


def score(momentum: float, flow: float, whale: float, weights: tuple[float, float, float]) -> float:
    """The weighted sum in this order; −1..+1 for components in range and weights that sum to at most 1."""
    return weights[0] * momentum + weights[1] * flow + weights[2] * whale


def _balance(up: int, down: int) -> float:
    total = up + down
    return (up - down) / total if total else 0.0
