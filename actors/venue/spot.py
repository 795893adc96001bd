"""The spot price of an underlying: one Brownian path shared by all its markets, a pure function of seed and time.

The path is built by midpoint displacement (Lévy's construction) between pins 2^20 s apart that form a random walk,
so any moment can be asked in any order at the cost of 20 look-ups, and all windows of an underlying agree. Below one
second it is a straight line.
"""

from __future__ import annotations

from hashlib import blake2b
from math import erfc, exp, sqrt
from statistics import NormalDist
from typing import Final

from engine.units import NS_PER_S

PIN_S: Final = 1 << 20
_FIRST_PIN: Final = 1_767_225_600 // PIN_S
"""The pin of early 2026: prices are near their reference there and drift away with the years."""

_REMEMBERED: Final = 1 << 15
_YEAR_S: Final = 365 * 86_400
_NORMAL: Final = NormalDist()

REFERENCES: Final[dict[str, tuple[float, float]]] = {
    "BTC": (78_000.0, 0.50),
    "ETH": (2_900.0, 0.65),
    "SOL": (150.0, 0.85),
    "XRP": (2.2, 0.80),
}
"""Underlying → (USD near the first pin, volatility a year)."""


def gaussian(*key: object) -> float:
    """A standard normal number that depends on ``key`` alone."""
    return _NORMAL.inv_cdf(uniform(*key))


def uniform(*key: object) -> float:
    """A number strictly between 0 and 1 that depends on ``key`` alone."""
    digest = blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return ((int.from_bytes(digest, "big") >> 12) + 0.5) / (1 << 52)


def normal_cdf(value: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * erfc(-value / sqrt(2.0))


class SpotPath:
    """Standard Brownian motion (variance 1 a second) of one underlying."""

    def __init__(self, seed: int, underlying: str) -> None:
        self._key = f"{seed}/spot/{underlying}"
        self._pins: dict[int, float] = {_FIRST_PIN: 0.0}
        self._known: dict[int, float] = {}
        self._price, self._volatility = REFERENCES.get(underlying, (100.0, 0.7))

    def at(self, at_ns: int) -> float:
        """The path at a time, in units of one standard deviation per square root of a second."""
        second, rest = divmod(at_ns, NS_PER_S)
        value = self._at_second(second)
        return value + (self._at_second(second + 1) - value) * (rest / NS_PER_S) if rest else value

    def price(self, at_ns: int) -> float:
        """The spot price in USD."""
        return self._price * exp(self._volatility / sqrt(_YEAR_S) * self.at(at_ns))

    def _at_second(self, second: int) -> float:
        value = self._known.get(second)
        return self._descend(second) if value is None else value

    def _descend(self, second: int) -> float:
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        pin = second // PIN_S
        low, high = pin * PIN_S, (pin + 1) * PIN_S
        if second == low:
            return self._pin(pin)
        before, after = self._pin(pin), self._pin(pin + 1)
        while True:
            middle = (low + high) // 2
            value = self._known.get(middle)
            if value is None:
                value = (before + after) / 2 + sqrt((high - low) / 4) * gaussian(self._key, middle)
                self._known[middle] = value
            if middle == second:
                return value
            if second < middle:
                high, after = middle, value
            else:
                low, before = middle, value

    def _pin(self, index: int) -> float:
        value = self._pins.get(index)
        if value is None:
            nearest = min(self._pins, key=lambda known: abs(known - index))
            step = 1 if index > nearest else -1
            value = self._pins[nearest]
            for pin in range(nearest + step, index + step, step):
                value += sqrt(PIN_S) * gaussian(self._key, "pin", max(pin, pin - step)) * step
                self._pins[pin] = value
        return value


def fair_up(path: SpotPath, start_ns: int, end_ns: int, at_ns: int) -> float:
    """P(Up) for someone who knows the path until ``at_ns``.

    Φ((W(t) − W(start)) / √(end − t)) inside the window; one half before it, for its start price is unknown; 0 or 1
    after it. The volatility cancels. A tie is Up.
    """
    if at_ns <= start_ns:
        return 0.5
    move = path.at(min(at_ns, end_ns)) - path.at(start_ns)
    if at_ns >= end_ns:
        return 1.0 if move >= 0.0 else 0.0
    return normal_cdf(move / sqrt((end_ns - at_ns) / NS_PER_S))
