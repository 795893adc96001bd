"""What the book leans to: depth imbalance, time-weighted, and order-flow imbalance (signal-definitions 2.7).

In real quotes the depth imbalance pointed the wrong way for the outcome more often than not; its horizon is seconds.
It is off unless a preset gives it a weight. Both are exact: integers in, one division out.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from engine.units import NS_PER_S

HORIZON_NS: Final = 10 * NS_PER_S

_RESOLUTION: Final = 10**12
"""Imbalances are kept as integers of this fraction, so that their integral never drifts."""


class DepthImbalance:
    """Mean of ``I = (B − A)/(B + A)`` over the last ``HORIZON_NS``, over the time it was known; −1..+1.

    It is absent while the book may not be read, whatever was known before.
    """

    __slots__ = ("_integral", "_known_ns", "_steps")

    def __init__(self) -> None:
        self._steps: deque[tuple[int, int | None]] = deque()
        self._integral = 0
        self._known_ns = 0

    def put(self, at_ns: int, bid: float, ask: float) -> None:
        """Weighted depth of both sides from ``at_ns`` on, each 0 or more; unknown if both are 0."""
        total = bid + ask
        self._step(at_ns, round((bid - ask) / total * _RESOLUTION) if total > 0 else None)

    def clear(self, at_ns: int) -> None:
        """From ``at_ns`` on the imbalance is unknown: crossed, one-sided or unsynced."""
        self._step(at_ns, None)

    def mean(self, end_ns: int) -> float | None:
        """Mean over ``[end_ns − HORIZON_NS, end_ns)``, ``None`` if not known at its end; ends never run backwards."""
        last_ns, last = self._steps[-1] if self._steps else (0, None)
        if last is None:
            return None
        start_ns = end_ns - HORIZON_NS
        self._evict(start_ns)
        first_ns, first = self._steps[0]
        integral = self._integral + last * (end_ns - last_ns)
        known_ns = self._known_ns + end_ns - last_ns
        if first is not None and first_ns < start_ns:
            integral -= first * (start_ns - first_ns)
            known_ns -= start_ns - first_ns
        return integral / (known_ns * _RESOLUTION) if known_ns else None

    def _step(self, at_ns: int, value: int | None) -> None:
        if self._steps:
            last_ns, last = self._steps[-1]
            if value == last:
                return
            self._add(last, at_ns - last_ns)
        self._steps.append((at_ns, value))
        self._evict(at_ns - HORIZON_NS)

    def _evict(self, start_ns: int) -> None:
        steps = self._steps
        while len(steps) > 1 and steps[1][0] <= start_ns:
            at_ns, value = steps.popleft()
            self._add(value, at_ns - steps[0][0])

    def _add(self, value: int | None, signed_ns: int) -> None:
        if value is not None:
            self._integral += value * signed_ns
            self._known_ns += signed_ns


class OrderFlowImbalance:
    """``OFI = Σ e_n / mean touch depth`` over the window (Cont, Kukanov, Stoikov 2014).

    ``e_n = 1{b ≥ b'}·Q_b − 1{b ≤ b'}·Q_b' − 1{a ≤ a'}·Q_a + 1{a ≥ a'}·Q_a'``, primes marking the quote before. Positive
    when buyers come or sellers go.
    """

    __slots__ = ("_changes", "_depth", "_flow", "_top")

    def __init__(self) -> None:
        self._changes: deque[tuple[int, int, int]] = deque()
        self._flow = 0
        self._depth = 0
        self._top: tuple[int, int, int, int] | None = None

    def quote(self, at_ns: int, bid: int, ask: int, bid_size: int, ask_size: int) -> None:
        """The touch from ``at_ns`` on, in ticks and micro-shares; unknown sizes (0) interrupt."""
        if bid_size <= 0 or ask_size <= 0:
            self.interrupt()
            return
        top = (bid, ask, bid_size, ask_size)
        if self._top is not None and top != self._top:
            flow, depth = _flow_between(self._top, top), bid_size + ask_size
            self._changes.append((at_ns, flow, depth))
            self._flow += flow
            self._depth += depth
        self._top = top

    def interrupt(self) -> None:
        """A gap, a tick change or a snapshot: the next quote is compared with none."""
        self._top = None

    def evict(self, start_ns: int) -> None:
        """Drop the changes received before ``start_ns``."""
        while self._changes and self._changes[0][0] < start_ns:
            _, flow, depth = self._changes.popleft()
            self._flow -= flow
            self._depth -= depth

    def value(self) -> float | None:
        """Net flow in units of the mean size at one side of the touch, ``None`` without a change in the window."""
        return self._flow * 2 * len(self._changes) / self._depth if self._changes else None


def _flow_between(before: tuple[int, int, int, int], after: tuple[int, int, int, int]) -> int:
    old_bid, old_ask, old_bid_size, old_ask_size = before
    bid, ask, bid_size, ask_size = after
    bids = (bid >= old_bid) * bid_size - (bid <= old_bid) * old_bid_size
    asks = (ask <= old_ask) * ask_size - (ask >= old_ask) * old_ask_size
    return bids - asks
