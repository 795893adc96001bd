"""The trades of one window of many markets at once: which they are, and the sums the formulas are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from actors.simulate.markets import Batch
from actors.simulate.paths import Flags, Floats, Integers
from actors.simulate.takers import Trades
from engine.units import to_ns


@frozen(kw_only=True, eq=False)
class Window:
    """Trades of which ``inside`` tells those received in the window; the others are neighbours of no concern."""

    trades: Trades
    inside: Flags

    @classmethod
    def of(cls, batch: Batch, start_s: float, end_s: float) -> Window:
        """The half-open window, in seconds from the start of each market."""
        trades = batch.trades
        inside = (trades.at_ns >= to_ns(start_s)) & (trades.at_ns < to_ns(end_s))
        columns = np.flatnonzero(inside.any(axis=0))
        near = slice(columns[0], columns[-1] + 1) if columns.size else slice(0, 1)
        cut = {name: getattr(trades, name)[:, near] for name in ("at_ns", "is_up", "is_buy", "price", "units")}
        return cls(trades=evolve(trades, **cut), inside=inside[:, near])

    def count(self, which: Flags) -> Integers:
        """How many trades of the window ``which`` marks, by market."""
        counts: Integers = np.count_nonzero(self.inside & which, axis=1)
        return counts

    def sum(self, which: Flags, values: NDArray[Any]) -> Any:
        """The sum of ``values`` over the trades of the window that ``which`` marks, by market."""
        return np.where(self.inside & which, values, 0).sum(axis=1)

    def first_and_last(self, which: Flags, values: Integers) -> tuple[Integers, Integers]:
        """``values`` at the first and at the last marked trade of the window; anything where there is none."""
        marked = self.inside & which
        rows = np.arange(len(marked))
        first = np.argmax(marked, axis=1)
        last = marked.shape[1] - 1 - np.argmax(marked[:, ::-1], axis=1)
        return values[rows, first], values[rows, last]


def balance(up: Any, down: Any) -> Floats:
    """``(up − down)/(up + down)``, NaN where both are 0."""
    total = np.asarray(up + down, dtype=np.float64)
    balanced: Floats = np.divide(up - down, total, out=np.full(total.shape, np.nan), where=total > 0)
    return balanced
