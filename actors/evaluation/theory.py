"""What chance and theory lead one to expect: the arcsine law, and how many markets it takes to tell two things apart.

(signal-definitions 5.1 and 5.2.7.)
"""

from __future__ import annotations

import math
from typing import Final

from scipy.stats import norm

POWER: Final = 0.8
SIGNIFICANCE: Final = 0.05
DAY_S: Final = 86_400.0


def sign_accuracy(elapsed_s: float, duration_s: float) -> float:
    """How often the sign of "price − ½" after ``elapsed_s`` of a fair market's ``duration_s`` names the winner.

    ½ + asin(√(t/T))/π, and the same for the sign of any move that lasted ``elapsed_s`` inside the window: no knowledge
    of the future is needed for it.
    """
    share = min(1.0, max(0.0, elapsed_s / duration_s))
    return 0.5 + math.asin(math.sqrt(share)) / math.pi


def markets_for_share(expected: float, against: float, power: float = POWER) -> int:
    """Markets needed to tell an accuracy of ``expected`` from ``against`` (two-sided 5 %).

    ((z_{1−α/2}·√(p₀(1−p₀)) + z_power·√(p₁(1−p₁))) / (p₁ − p₀))².
    """
    if expected == against:
        raise ValueError("no number of markets tells equal shares apart")
    spread = _z_significance() * math.sqrt(against * (1 - against))
    spread += float(norm.ppf(power)) * math.sqrt(expected * (1 - expected))
    return math.ceil((spread / (expected - against)) ** 2)


def markets_for_mean(effect: float, deviation: float, power: float = POWER) -> int:
    """Markets needed to see a mean difference of ``effect`` whose single values have this standard deviation."""
    if effect == 0:
        raise ValueError("no number of markets shows an effect of 0")
    return math.ceil(((_z_significance() + float(norm.ppf(power))) * deviation / effect) ** 2)


def days_of(markets: int, duration_s: float) -> float:
    """How many days of one series that many markets are, one slot after the other."""
    return markets * duration_s / DAY_S


def _z_significance() -> float:
    return float(norm.ppf(1 - SIGNIFICANCE / 2))
