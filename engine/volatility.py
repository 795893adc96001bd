"""Trailing volatility of the fair price's logit, for ``momentum_scale = "vol"`` (signal-definitions 2.4)."""

from __future__ import annotations

from math import sqrt
from typing import Final

from engine.units import NS_PER_S, to_seconds

SAMPLE_NS: Final = NS_PER_S
"""Changes over less than this are mostly the touch flickering."""

HALF_LIFE_S: Final = 300.0


class LogitVolatility:
    """Exponentially weighted mean of squared logit changes per second, half-life ``HALF_LIFE_S``.

    A sample is the change since the last one, at least ``SAMPLE_NS`` ago; changes across a break are not counted.
    Before ``due_ns`` there is nothing to observe.
    """

    __slots__ = ("_at_ns", "_logit", "_seconds", "_squares", "due_ns")

    def __init__(self) -> None:
        self.due_ns = 0
        self._at_ns: int | None = None
        self._logit = 0.0
        self._squares = 0.0
        self._seconds = 0.0

    def observe(self, at_ns: int, logit: float) -> None:
        """The logit of the fair price at ``at_ns``, not before the last one."""
        if at_ns < self.due_ns:
            return
        if self._at_ns is not None:
            seconds = to_seconds(at_ns - self._at_ns)
            decay = 2.0 ** -(seconds / HALF_LIFE_S)
            self._squares = self._squares * decay + (logit - self._logit) ** 2
            self._seconds = self._seconds * decay + seconds
        self._at_ns, self._logit = at_ns, logit
        self.due_ns = at_ns + SAMPLE_NS

    def interrupt(self) -> None:
        """The price is unknown for a while: the next change is not one."""
        self._at_ns, self.due_ns = None, 0

    def per_root_second(self) -> float | None:
        """σ of the logit over one second; ``None`` before the first sample."""
        return sqrt(self._squares / self._seconds) if self._seconds > 0 else None
